import { MemoryDisk } from '../../storage/memory-disk.ts'
import type { Clock, Environment, Logger } from './environment.ts'
import { silentLogger } from './logger.ts'
import { MemoryNetwork } from './memory-network.ts'
import { seededRandom } from './seeded-random.ts'
import { SimulatedClock } from './simulated-clock.ts'

/** An environment whose parts a test or a simulation holds in its hands. */
export interface SimulatedEnvironment extends Environment {
  readonly clock: SimulatedClock
  readonly network: MemoryNetwork
}

/** Everything in memory and the same on each run of the same seed. `host` gives the turns of the event loop. */
export function simulatedEnvironment(options: {
  readonly seed: number
  readonly host: Pick<Clock, 'defer'>
  readonly logger?: Logger
}): SimulatedEnvironment {
  const clock = new SimulatedClock(options.host)
  return {
    clock,
    disk: new MemoryDisk((run) => clock.defer(run)),
    network: new MemoryNetwork(clock),
    random: seededRandom(options.seed),
    logger: options.logger ?? silentLogger,
  }
}
