/**
 * Runs all compatibility tests, then says loudly which peers were met and which were not. Ends with status 1 when a
 * test failed, or when a listed peer did not run although this machine has what it needs; with CI set, when one did not
 * run at all, and when docs/compatibility.md is not what the run yields: `--write` writes it. Other arguments are the
 * only tests to run.
 */
import { spawn } from 'node:child_process'
import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pageOf, pagePath, withoutVersionsOfTheMachine } from './support/page.ts'
import { missingFor, peerNames } from './support/peers.ts'
import { readReport, type Result } from './support/report.ts'

/** The longest file takes some 4 minutes on two cores. */
const fileTimeoutMs = 12 * 60_000

const folder = await mkdtemp(join(tmpdir(), 'titorelli-compat-'))
const reportFile = join(folder, 'report.jsonl')
const failed: string[] = []

const patterns = process.argv.slice(2).filter((argument) => argument !== '--write')
const isWhole = patterns.length === 0 && process.env['MATRIX'] === undefined
await runTests(patterns.length > 0 ? patterns : ['test/compat/**/*.compat.ts', 'test/differential/*.compat.ts'])
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

/**
 * Runs the files one after the other. A file that does not end in time is killed with all that it started, and the next
 * begins.
 */
async function runTests(patterns: readonly string[]): Promise<void> {
  const files: string[] = []
  for (const pattern of patterns) {
    const found: string[] = []
    for await (const file of glob(pattern)) found.push(file)
    if (found.length === 0) failed.push(`no file matches ${pattern}`)
    files.push(...found.toSorted())
  }
  for (const file of files) {
    const ended = await runTest(file)
    if (ended !== 0) failed.push(`${file}: ${ended === null ? 'it was killed' : `it ended with ${ended}`}`)
  }
}

async function runTest(file: string): Promise<number | null> {
  const args = ['--test', '--test-timeout=120000', '--test-reporter=spec', file]
  const env = { ...process.env, COMPAT_REPORT: reportFile }
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env, detached: true })
  const kill = (): void => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }
  const stop = (): void => {
    kill()
    process.exit(1)
  }
  const tooLate = setTimeout(() => {
    failed.push(`${file} did not end within ${fileTimeoutMs / 60_000} minutes`)
    kill()
  }, fileTimeoutMs)
  process.on('SIGINT', stop).on('SIGTERM', stop)
  const status = await new Promise<number | null>((resolve) => child.on('exit', resolve))
  process.off('SIGINT', stop).off('SIGTERM', stop)
  clearTimeout(tooLate)
  return status
}
