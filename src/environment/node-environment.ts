import { MemoryDisk } from '../../storage/memory-disk.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import type { Environment, Logger } from './environment.ts'
import { silentLogger } from './logger.ts'
import { nodeClock } from './node-clock.ts'
import { nodeNetwork } from './node-network.ts'
import { nodeRandom } from './node-random.ts'

/** libuv's own default, where UV_THREADPOOL_SIZE says nothing. */
const threadPoolSizeDefault = 4

export interface NodeEnvironmentOptions {
  /** Where the data lives. Left out: in memory, gone with the process. */
  readonly dataDir?: string
  /** Silent when left out. */
  readonly logger?: Logger
}

/** The real clock, network and randomness, with a disk of this machine or one in memory. */
export function nodeEnvironment(options: NodeEnvironmentOptions): Environment {
  const { dataDir, logger = silentLogger } = options
  const threadPoolSize = Number(process.env['UV_THREADPOOL_SIZE']) || threadPoolSizeDefault
  const disk =
    dataDir === undefined ? new MemoryDisk((run) => nodeClock.defer(run)) : new NodeDisk(dataDir, { threadPoolSize })
  return { clock: nodeClock, disk, network: nodeNetwork(logger), random: nodeRandom, logger }
}
