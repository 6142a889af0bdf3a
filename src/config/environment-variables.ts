/** The names of configs as environment variables. */

/**
 * The config that a `KAFKA_` variable sets, by the rule of Kafka's docker images: `_` is a dot, `__` an underscore, `___` a
 * dash. Undefined for other variables.
 */
export function configOfKafkaVariable(variable: string): string | undefined {
  if (!variable.startsWith('KAFKA_')) return undefined
  const name = variable.slice('KAFKA_'.length).toLowerCase()
  const marks: Readonly<Record<string, string>> = { _: '.', __: '_', ___: '-' }
  return name.replaceAll(/_{1,3}/g, (run) => marks[run]!)
}

/** `titorelli.memory.budget.bytes` for `TITORELLI_MEMORY_BUDGET_BYTES`. */
export function configOfOwnVariable(variable: string): string {
  return variable.toLowerCase().replaceAll('_', '.')
}
