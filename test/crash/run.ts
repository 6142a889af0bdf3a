/**
 * npm run crash -- [--rounds N] [--seed S]: kills a broker under load N times (default 100) and checks every
 * acknowledged record after each. Prints its seed; the same seed kills at the same delays again. Ends with status 1
 * when anything is wrong.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { TitorelliProcess } from '../compat/support/titorelli.ts'
import { runCrashRounds } from './crash-rounds.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } })
const rounds = wholeNumber('--rounds', values.rounds ?? '100')
const seed = wholeNumber('--seed', values.seed ?? `${Date.now() % 1_000_000}`)
console.log(
  `${rounds} rounds of kill -9, seed ${seed} (npm run crash -- --rounds ${rounds} --seed ${seed} runs them again)`,
)

const folder = await mkdtemp(join(tmpdir(), 'titorelli-crash-'))
const broker = new TitorelliProcess(join(folder, 'data'), ['--log-level', 'error'])
const startedMs = performance.now()
try {
  const report = await runCrashRounds({
    broker,
    rounds,
    seed,
    onRound: (round, { acknowledged }) => {
      if (round % 10 === 0) console.log(`round ${round}: ${acknowledged} acknowledged records are there`)
    },
  })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(
    `${rounds} rounds in ${seconds} s: all ${report.acknowledged} acknowledged records are there, in order, once; ` +
      `${report.unanswered} were never answered, ${report.killsAtStart} kills hit a start, ` +
      `the slowest start took ${report.slowestStartMs.toFixed(0)} ms`,
  )
  await broker.end('SIGKILL')
  await rm(folder, { recursive: true, force: true })
} catch (error) {
  console.error(error)
  console.error(`seed ${seed}: the data stays in ${folder}; the broker printed: ${broker.output}`)
  await broker.end('SIGKILL')
  process.exit(1) // clients that still try would keep it going
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${name} ${text}: expected a whole number`)
  return number
}
