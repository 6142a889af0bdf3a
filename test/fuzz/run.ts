/**
 * Hostile input to every decoder, from a seed:
 *
 *   npm run fuzz -- --cases 1000000 --seed 7
 *   npm run fuzz -- --seed 7 --target codecs --case 81        one case again, as a failure prints it
 *
 * Ends with status 1 when a rule was broken.
 */
import { parseArgs } from 'node:util'
import { fuzz, residentMaxBytes } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    target: { type: 'string' },
    case: { type: 'string' },
  },
})
const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed)
console.log(`seed ${seed}`)
const startedMs = performance.now()
const { cases, residentBytes, slowestMs, failure } = await fuzz({
  seed,
  caseCount: Number(values.cases),
  target: values.target,
  caseNumber: values.case === undefined ? undefined : Number(values.case),
})
for (const [name, count] of Object.entries(cases)) console.log(`${name}: ${count} cases`)
const mebibytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`
console.log(
  `${((performance.now() - startedMs) / 1_000).toFixed(1)} s, slowest case ${slowestMs} ms, at most ${mebibytes(residentBytes)} resident of ${mebibytes(residentMaxBytes)} allowed`,
)
if (failure !== undefined) console.error(`FAILED: ${failure}`)
process.exitCode = failure === undefined ? 0 : 1
