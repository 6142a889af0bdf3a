/** A few of the rounds that `npm run crash` runs. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCrashRounds } from '../crash/crash-rounds.ts'
import { usePeer } from './support/peers.ts'
import { TitorelliProcess } from './support/titorelli.ts'

const rounds = 5

test(`${rounds} times kill -9 under load: all acknowledged records are there, in order, once`, async (t) => {
  if (!(await usePeer(t, 'platformatic')) || !(await usePeer(t, 'kafkajs'))) return
  const seed = Number(process.env['COMPAT_SEED'] ?? Date.now() % 1_000_000)
  console.log(`kill -9 under load: seed ${seed} (COMPAT_SEED=${seed} runs it again)`)
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-crash-'))
  const broker = new TitorelliProcess(join(folder, 'data'), ['--log-level', 'error'])
  t.after(async () => {
    await broker.end('SIGKILL')
    if (Reflect.get(t, 'error')) t.diagnostic(`the broker printed: ${broker.output}`)
    await rm(folder, { recursive: true, force: true })
  })
  const report = await runCrashRounds({ broker, rounds, seed })
  t.diagnostic(`${report.acknowledged} records acknowledged, ${report.unanswered} never answered`)
})
