/** Runs the cases of a plan, one after the other, until one breaks a rule. */
import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { shared, type WorkerAnswer, type WorkerTask } from './fuzz.ts'
import type { OpenTarget, Target } from './target.ts'
import { targets } from './targets.ts'

const { seed, plan, state } = workerData as WorkerTask

async function runCases(target: Target, from: number, to: number): Promise<void> {
  let opened: OpenTarget | undefined
  for (let caseNumber = from; caseNumber < to; caseNumber++) {
    if (caseNumber % target.casesPerOpening === 0) {
      await opened?.close?.() // what it finds is of the cases up to here
      opened = undefined
    }
    state[shared.caseNumber] = caseNumber
    opened ??= await target.open()
    // Memory of native code is given back in a turn of the event loop, as a broker has them all the time.
    if (caseNumber % 50 === 0) await setImmediate()
    const startMs = performance.now()
    const cpu = process.threadCpuUsage()
    await opened.run(seededRandom(seedOf(target.name, caseNumber)))
    const tookMs = performance.now() - startMs
    state[shared.slowestMs] = Math.max(state[shared.slowestMs]!, Math.ceil(tookMs))
    const { user, system } = process.threadCpuUsage(cpu)
    const cpuMs = (user + system) / 1_000
    // A case that only waited was the machine's doing; one that waits for ever is found from outside.
    if (cpuMs > target.deadlineMs) throw new Error(`the case took ${cpuMs} ms of a processor, of ${target.deadlineMs}`)
  }
  await opened?.close?.()
}

/** FNV-1a over seed, name and number: neighbours have nothing in common. */
function seedOf(name: string, caseNumber: number): number {
  let hash = 0x811c9dc5
  for (const char of `${seed}/${name}/${caseNumber}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash >>> 0
}

let answer: WorkerAnswer = { ok: true }
try {
  for (const { target, from, to } of plan) {
    state[shared.target] = target
    await runCases(targets[target]!, from, to)
  }
} catch (error) {
  answer = { ok: false, error: String(error instanceof Error ? error.stack : error) }
}
parentPort!.postMessage(answer)
