/** The names of configs as environment variables. */
import { brokerConfigRow } from './broker-configs.ts'

const marks: Readonly<Record<string, string>> = { _: '.', __: '_', ___: '-' }

/** By the rule of Kafka's docker images: `_` is a dot, `__` an underscore, `___` a dash. */
function configNameOf(text: string): string {
  return text.toLowerCase().replaceAll(/_{1,3}/g, (run) => marks[run]!)
}

/** The config that a `KAFKA_` variable sets. Undefined for other variables. */
export function configOfKafkaVariable(variable: string): string | undefined {
  return variable.startsWith('KAFKA_') ? configNameOf(variable.slice('KAFKA_'.length)) : undefined
}

/**
 * The config that a `TITORELLI_` variable sets: Kafka's of that name, written as in a `KAFKA_` variable, or else ours.
 * `TITORELLI_NUM_PARTITIONS` is `num.partitions`, `TITORELLI_MEMORY_BUDGET_BYTES` is `titorelli.memory.budget.bytes`.
 * Undefined for other variables.
 */
export function configOfOwnVariable(variable: string): string | undefined {
  if (!variable.startsWith('TITORELLI_')) return undefined
  const name = configNameOf(variable.slice('TITORELLI_'.length))
  return brokerConfigRow(name) ? name : `titorelli.${name}`
}
