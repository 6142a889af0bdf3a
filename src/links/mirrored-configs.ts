/**
 * Which topic configs a mirror takes over from its source. Cluster Linking's rule: some always equal the source's and
 * can't be changed here, all others are this cluster's own.
 */

/** Always equal to the source's value, also where that is its broker's default. */
export const alwaysSyncedConfigs = [
  'cleanup.policy',
  'compression.type',
  'delete.retention.ms',
  'max.compaction.lag.ms',
  'max.message.bytes',
  'message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms',
  'message.timestamp.type',
  'min.compaction.lag.ms',
  'retention.bytes',
  'retention.ms',
] as const

const always: ReadonlySet<string> = new Set(alwaysSyncedConfigs)

export function isAlwaysSynced(name: string): boolean {
  return always.has(name)
}

/**
 * The overrides a mirror has: its own ones, with the synced ones as the source has them. Sources too old for one leave
 * it out.
 */
export function syncedOverrides(
  own: ReadonlyMap<string, string>,
  source: ReadonlyMap<string, string | null>,
  isValid: (name: string, value: string) => boolean,
): Map<string, string> {
  const overrides = new Map([...own].filter(([name]) => !always.has(name)))
  for (const name of alwaysSyncedConfigs) {
    const value = source.get(name)
    if (value !== undefined && value !== null && isValid(name, value)) overrides.set(name, value)
  }
  return overrides
}

export function sameOverrides(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value)
}
