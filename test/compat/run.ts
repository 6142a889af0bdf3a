/**
 * Runs all compatibility tests, then says loudly which peers were met and which were not. Ends with status 1 when a test
 * failed, or when a listed peer did not run although this machine has what it needs; with CI set, when one did not run at all,
 * and when docs/compatibility.md is not what the run yields: `--write` writes it. Other arguments are the only tests to run.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pageOf, pagePath, withoutVersionsOfTheMachine } from './support/page.ts'
import { missingFor, peerNames } from './support/peers.ts'
import { readReport, type Result } from './support/report.ts'

const folder = await mkdtemp(join(tmpdir(), 'titorelli-compat-'))
const reportFile = join(folder, 'report.jsonl')
const failed: string[] = []

const patterns = process.argv.slice(2).filter((argument) => argument !== '--write')
const isWhole = patterns.length === 0 && process.env['MATRIX'] === undefined
const status = await runTests(
  patterns.length > 0 ? patterns : ['test/compat/**/*.compat.ts', 'test/differential/*.compat.ts'],
)
if (status !== 0) failed.push(`the tests ended with status ${status}`)
const results = await readReport(reportFile)
await showPeers(results)
if (isWhole && failed.length === 0) await comparePage(results)
for (const reason of failed) console.error(`FAILED: ${reason}`)
await rm(folder, { recursive: true, force: true })
process.exitCode = failed.length > 0 ? 1 : 0

async function showPeers(all: readonly Result[]): Promise<void> {
  let skipped = 0
  console.log('\nPeers:')
  for (const peer of peerNames) {
    const ran = all.filter((result) => result.peer === peer && result.outcome !== 'skipped')
    const missing = await missingFor(peer)
    if (ran.length > 0) console.log(`  ${peer}: ${countsOf(ran)}`)
    else if (missing !== undefined) {
      skipped++
      console.log(`  ${peer}: SKIPPED, ${missing}`)
      if (process.env['CI'] && isWhole) failed.push(`${peer} was skipped: ${missing}`)
    } else if (isWhole) {
      console.log(`  ${peer}: DID NOT RUN`)
      failed.push(`${peer} did not run although this machine has what it needs`)
    }
  }
  console.log(`${peerNames.length} peers are listed, ${skipped} were skipped`)
}

function countsOf(ran: readonly Result[]): string {
  const counts = (['passed', 'failed', 'not applicable'] as const).map((outcome) => {
    const count = ran.filter((result) => result.outcome === outcome).length
    return count > 0 || outcome === 'passed' ? [`${count} ${outcome}`] : []
  })
  return counts.flat().join(', ')
}

/** Leaves the page alone after a run in which something was skipped: it has not seen all that the page tells. */
async function comparePage(all: readonly Result[]): Promise<void> {
  const skipped = all.find(({ outcome }) => outcome === 'skipped')
  if (skipped) return console.log(`${pagePath} is NOT COMPARED, '${skipped.what}' was skipped: ${skipped.reason}`)
  const page = await pageOf(all)
  if (process.argv.includes('--write')) return await writeFile(pagePath, page)
  const committed = await readFile(pagePath, 'utf8').catch(() => '')
  if (withoutVersionsOfTheMachine(committed) === withoutVersionsOfTheMachine(page)) return
  const stale = 'docs/compatibility.md is not what this run yields: `npm run test:compat -- --write` writes it'
  if (process.env['CI']) failed.push(stale)
  else console.log(stale)
}

async function runTests(files: readonly string[]): Promise<number | null> {
  const args = ['--test', '--test-timeout=120000', '--test-reporter=spec', '--test-concurrency=1', ...files]
  const env = { ...process.env, COMPAT_REPORT: reportFile }
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
  return await new Promise((resolve) => child.on('exit', resolve))
}
