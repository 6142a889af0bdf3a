/**
 * Runs all compatibility tests, then says loudly which peers were met and which were not. Ends with status 1 when a test
 * failed, or when a listed peer did not run although this machine has what it needs; with CI set, when one did not run at all.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingFor, peerNames } from './support/peers.ts'
import { readReport } from './support/report.ts'

const folder = await mkdtemp(join(tmpdir(), 'titorelli-compat-'))
const reportFile = join(folder, 'report.jsonl')
const failed: string[] = []

const patterns = process.argv.slice(2)
const status = await runTests(
  patterns.length > 0 ? patterns : ['test/compat/**/*.compat.ts', 'test/differential/*.compat.ts'],
)
if (status !== 0) failed.push(`the tests ended with status ${status}`)

let skippedCount = 0
const results = await readReport(reportFile)
console.log('\nPeers:')
for (const peer of peerNames) {
  const ran = results.filter((result) => result.peer === peer && result.outcome !== 'skipped')
  const missing = await missingFor(peer)
  if (ran.length > 0) console.log(`  ${peer}: met in ${ran.length} ${ran.length === 1 ? 'test' : 'tests'}`)
  else if (missing !== undefined) {
    skippedCount++
    console.log(`  ${peer}: SKIPPED, ${missing}`)
    if (process.env['CI'] && patterns.length === 0) failed.push(`${peer} was skipped: ${missing}`)
  } else {
    console.log(`  ${peer}: DID NOT RUN`)
    if (patterns.length === 0) failed.push(`${peer} did not run although this machine has what it needs`)
  }
}
console.log(`${peerNames.length} peers are listed, ${skippedCount} were skipped`)
for (const reason of failed) console.error(`FAILED: ${reason}`)
await rm(folder, { recursive: true, force: true })
process.exitCode = failed.length > 0 ? 1 : 0

async function runTests(files: readonly string[]): Promise<number | null> {
  const args = ['--test', '--test-timeout=120000', '--test-reporter=spec', '--test-concurrency=1', ...files]
  const env = { ...process.env, COMPAT_REPORT: reportFile }
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
  return await new Promise((resolve) => child.on('exit', resolve))
}
