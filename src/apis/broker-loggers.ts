/** The loggers of a broker. There is one, `root`; its level changes until the broker stops, as in Kafka. */
import type { Logger } from '../environment/environment.ts'
import { KafkaError } from '../errors.ts'
import type { Change } from './alter-resources.ts'
import { configSources, type DescribedConfig } from './config-sources.ts'
import type { BrokerParts } from './handler.ts'

const rootName = 'root'
/** Kafka's names of levels, and ours. */
const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error', FATAL: 'fatal' } as const
const unknownType = 0
const [setOperation, deleteOperation] = [0, 1]

/** @throws KafkaError INVALID_REQUEST for another broker. */
export function describeLoggers(brokerId: string, broker: BrokerParts): DescribedConfig[] {
  checkBroker(brokerId, broker)
  const value = levelOf(broker.environment.logger)
  if (value === undefined) return []
  return [
    {
      name: rootName,
      value,
      readOnly: false,
      configSource: configSources.BROKER_LOGGER,
      isSensitive: false,
      synonyms: [],
      configType: unknownType,
      documentation: null,
    },
  ]
}

/** Sets levels. @throws KafkaError for what can't be, and then nothing is changed. */
export function alterLoggers(
  brokerId: string,
  changes: readonly Change[],
  { validateOnly, broker }: { readonly validateOnly: boolean; readonly broker: BrokerParts },
): void {
  checkBroker(brokerId, broker)
  const { logger } = broker.environment
  let level = logger.level
  for (const { name, configOperation, value } of changes) {
    if (name !== rootName || level === undefined) throw new KafkaError('INVALID_CONFIG', `there is no logger ${name}`)
    if (configOperation === deleteOperation)
      throw new KafkaError('INVALID_REQUEST', `the level of the logger ${name} can't be deleted`)
    if (configOperation !== setOperation)
      throw new KafkaError('INVALID_REQUEST', `got operation ${configOperation} for the logger ${name}, expected 0`)
    if (!isLevel(value))
      throw new KafkaError('INVALID_CONFIG', `got level ${value}, expected one of ${Object.keys(levels).join(', ')}`)
    level = levels[value]
  }
  if (!validateOnly && level !== undefined) logger.level = level
}

function checkBroker(brokerId: string, { nodeId }: BrokerParts): void {
  if (brokerId !== String(nodeId))
    throw new KafkaError('INVALID_REQUEST', `got the loggers of broker '${brokerId}', and this is ${nodeId}`)
}

function isLevel(value: string | null): value is keyof typeof levels {
  return value !== null && Object.hasOwn(levels, value)
}

function levelOf({ level }: Logger): string | undefined {
  return Object.entries(levels).find(([, ours]) => ours === level)?.[0]
}
