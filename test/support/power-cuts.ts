/** Cuts the power at every disk call of a run, and looks at what is found afterwards. */
import { CrashDisk, seededNumbers } from './crash-disk.ts'

/** A run, and what it promises. */
export interface Scenario<Promised> {
  /** Calls of the disk that come before the run: the power is not cut at them. */
  readonly prepare?: (disk: CrashDisk, promised: Promised) => Promise<unknown>
  /** Notes in `promised` what holds from then on. It ends early, with an error, when its disk fails. */
  readonly run: (disk: CrashDisk, promised: Promised) => Promise<unknown>
  /** A new one for each run. */
  readonly promises: () => Promised
  /** Opens what is found, as after a restart, and nothing else: the power may be cut here, too. */
  readonly reopen: (disk: CrashDisk, promised: Promised) => Promise<unknown>
  /** Throws where the promise is broken. */
  readonly check: (disk: CrashDisk, promised: Promised) => Promise<unknown>
}

/** How many seeds a test takes: few, and as many as are asked for by hand (`POWER_CUT_SEEDS=100 node --test ...`). */
export function seedsOf(fewSeeds: number): number[] {
  return Array.from({ length: Number(process.env['POWER_CUT_SEEDS'] ?? fewSeeds) }, (_, index) => index + 1)
}

/**
 * Runs the scenario once for each of its disk calls, with the power cut there, and every other time again while what is
 * found is opened. Now and then only the process ends there, and the power goes after the next one has opened all.
 * Returns the number of cuts.
 */
export async function cutEverywhere<Promised>(seed: number, scenario: Scenario<Promised>): Promise<number> {
  const whole = new CrashDisk(seededNumbers(seed))
  const kept = scenario.promises()
  await scenario.prepare?.(whole, kept)
  const before = whole.callCount
  await scenario.run(whole, kept)
  const calls = whole.callCount - before
  let cuts = 0
  // One more than there are: the power goes when all is done.
  for (let call = 1; call <= calls + 1; call++) {
    const random = seededNumbers(seed * 100_003 + call)
    const disk = new CrashDisk(random)
    const promised = scenario.promises()
    await scenario.prepare?.(disk, promised)
    disk.failAt(call)
    await scenario.run(disk, promised).catch(() => undefined)
    cuts += 1
    const isKilled = random() < 0.3
    const again = random() < 0.5 ? 1 + Math.floor(random() * 60) : undefined
    try {
      const last = isKilled ? disk.kill() : disk
      if (isKilled) await scenario.reopen(last, promised)
      let found = last.crash()
      if (again !== undefined) {
        found.failAt(again)
        await scenario.reopen(found, promised).catch(() => undefined)
        found = found.crash()
        cuts += 1
      }
      await scenario.check(found, promised)
    } catch (error) {
      const what = isKilled ? 'kill -9, an opening, then a power cut' : 'power cut'
      const where = `seed ${seed}, ${what} at call ${call} of ${calls}`
      throw new Error(again ? `${where} and at call ${again} of the next opening` : where, { cause: error })
    }
  }
  return cuts
}
