/** From the options of the command line to a broker on this machine's disk and network. */
import { resolve } from 'node:path'
import { DiskError } from '../../storage/disk.ts'
import { StorageError } from '../../storage/outcome.ts'
import { openBroker, type Broker } from '../broker.ts'
import type { StartOptions } from '../config/sources.ts'
import { NetworkError } from '../environment/environment.ts'
import { nodeEnvironment } from '../environment/node-environment.ts'
import { nodeLogger } from '../environment/node-logger.ts'
import { MetadataError } from '../metadata/metadata-error.ts'
import type { RunningBroker } from './banner.ts'
import { CliFailure } from './cli.ts'

/**
 * Opens the broker. What a person can mend (a port in use, a folder in use, a wrong cluster id) becomes a CliFailure.
 */
export async function runBroker(options: StartOptions): Promise<RunningBroker> {
  const { host, port, advertised, clusterId, brokerCount, brokerConfig: config } = options
  const dataDir = options.memory ? undefined : resolve(options.dataDir)
  const logger = nodeLogger({ level: options.logLevel })
  const environment = nodeEnvironment({ logger, ...(dataDir !== undefined && { dataDir }) })
  const http = options.httpPort === 'off' ? undefined : { host, port: options.httpPort }
  try {
    const broker = await openBroker(environment, { config, host, port, brokerCount, advertised, clusterId, http })
    return {
      host,
      port: broker.port,
      ports: broker.ports,
      httpPort: broker.httpPort,
      clusterId: broker.clusterId,
      dataDir,
      connectionCount: () => broker.connections.length,
      stop: () => stopped(broker),
    }
  } catch (error) {
    const isKnown = error instanceof NetworkError || error instanceof DiskError || error instanceof MetadataError
    if (isKnown) throw new CliFailure(error.message, undefined, { cause: error })
    throw error
  }
}

/** What the disk said at the last sync is no defect of this program. */
async function stopped(broker: Broker): Promise<void> {
  try {
    await broker.stop()
  } catch (error) {
    const isKnown = error instanceof StorageError || error instanceof DiskError
    throw isKnown ? new CliFailure(error.message, undefined, { cause: error }) : error
  }
}
