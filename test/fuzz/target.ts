import type { Random } from '../../src/environment/environment.ts'

/** A decoder, or something that holds several, and how a case is made for it. */
export interface Target {
  readonly name: string
  /** Its part of a run's cases, against the sum of all targets. */
  readonly weight: number
  /** A case that takes more time of a processor has failed. */
  readonly deadlineMs: number
  /** How many cases one opening serves: a case is repeated together with the ones before it in its opening. */
  readonly casesPerOpening: number
  open(): Promise<OpenTarget>
}

export interface OpenTarget {
  /** Makes one case and holds the target to its rules; throws where they are broken. */
  run(random: Random): Promise<void> | void
  close?(): Promise<void>
}

/** A target without state. */
export function pureTarget(name: string, weight: number, make: () => (random: Random) => void): Target {
  return { name, weight, deadlineMs: 2_000, casesPerOpening: 1_000_000_000, open: async () => ({ run: make() }) }
}
