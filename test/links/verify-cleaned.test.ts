/**
 * Random compacted logs, cleaned here and there by a model of Kafka's cleaner: verify calls them equal by record, and
 * finds each record that was lost, changed or kept too long.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBatchHeader, type BatchRef } from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import type { Random } from '../../src/environment/environment.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { testBatch, testNowMs } from '../support/logs.ts'
import { ScriptedLog, VerifyWorld, type VerifyResult } from '../support/verify-logs.ts'

interface ModelRecord {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

/** A batch of the model. A marker has an outcome and no records. */
interface ModelBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId?: number
  readonly outcome?: 'COMMIT' | 'ABORT'
  readonly records: readonly ModelRecord[]
}

function randomLog(random: Random): ModelBatch[] {
  const batches: ModelBatch[] = []
  const open = new Set<number>()
  let offset = 0
  for (let count = 0; count < 30; count++) {
    const producerId = random.below(3) === 0 ? 1 + random.below(2) : undefined
    if (producerId !== undefined && open.has(producerId) && random.below(2) === 0) {
      const outcome = random.below(2) === 0 ? 'COMMIT' : 'ABORT'
      open.delete(producerId)
      batches.push({ baseOffset: offset, lastOffset: offset, producerId, outcome, records: [] })
      offset += 1
      continue
    }
    if (producerId !== undefined) open.add(producerId)
    const baseOffset = offset
    const records = Array.from({ length: 1 + random.below(4) }, (): ModelRecord => {
      const value = random.below(5) === 0 ? null : `value ${offset}`
      return { offset: offset++, key: `key ${random.below(12)}`, value }
    })
    const transaction = producerId === undefined ? {} : { producerId }
    batches.push({ baseOffset, lastOffset: offset - 1, records, ...transaction })
  }
  return batches
}

/** The outcome of the transaction that a batch belongs to, undefined while it is open or where there is none. */
function outcomeOf(log: readonly ModelBatch[], batch: ModelBatch): ModelBatch['outcome'] {
  const isEnd = (one: ModelBatch): boolean => one.producerId === batch.producerId && one.outcome !== undefined
  return log.find((one) => one.baseOffset > batch.baseOffset && isEnd(one))?.outcome
}

/** Offsets of what is decided: cleaning goes no further. */
function stableEnd(log: readonly ModelBatch[]): number {
  const undecided = log.find(
    (batch) => batch.producerId !== undefined && !batch.outcome && outcomeOf(log, batch) === undefined,
  )
  return undecided?.baseOffset ?? log.at(-1)!.lastOffset + 1
}

function clean(log: readonly ModelBatch[], end: number, removesTombstones: boolean): ModelBatch[] {
  const isAborted = (batch: ModelBatch): boolean => batch.producerId !== undefined && outcomeOf(log, batch) === 'ABORT'
  const latest = new Map<string, number>()
  for (const batch of log)
    for (const { offset, key } of batch.records) if (offset < end && !isAborted(batch)) latest.set(key, offset)
  const survives = (batch: ModelBatch, { offset, key, value }: ModelRecord): boolean => {
    if (offset >= end) return true
    if (isAborted(batch) || latest.get(key) !== offset) return false
    return value !== null || !removesTombstones
  }
  return log.map((batch) => ({ ...batch, records: batch.records.filter((record) => survives(batch, record)) }))
}

function bytesOf(batch: ModelBatch): BatchRef {
  const { baseOffset, lastOffset, producerId, outcome, records } = batch
  if (outcome) {
    const bytes = buildEndTransactionMarker({
      producerId: BigInt(producerId!),
      producerEpoch: 0,
      coordinatorEpoch: 0,
      commit: outcome === 'COMMIT',
      timestampMs: testNowMs,
      leaderEpoch: 0,
      baseOffset: BigInt(baseOffset),
    })
    return { bytes, header: readBatchHeader(bytes) }
  }
  return testBatch({
    baseOffset: BigInt(baseOffset),
    leaderEpoch: 0,
    lastOffsetDelta: lastOffset - baseOffset,
    records: records.map(({ offset, key, value }) => ({ key, value, offsetDelta: offset - baseOffset })),
    ...(producerId !== undefined && {
      producerId: BigInt(producerId),
      producerEpoch: 0,
      baseSequence: 0,
      isTransactional: true,
    }),
  })
}

/** Empty batches go, but for the last one: as the cleaner leaves them. */
function logOf(batches: readonly ModelBatch[], random: Random): BatchRef[] {
  const kept = batches.filter(
    ({ records, outcome }, index) =>
      records.length > 0 || outcome !== undefined || index === batches.length - 1 || random.below(2) === 0,
  )
  return kept.map(bytesOf)
}

async function verify(theirs: readonly BatchRef[], ours: readonly BatchRef[], random: Random): Promise<VerifyResult> {
  const source = [new ScriptedLog(theirs, 0n)]
  const mirror = [new ScriptedLog(ours, 0n)]
  const limits = { chunkBytes: 200 + random.below(2000), keysPerPass: 12 + random.below(20) }
  return (await new VerifyWorld({ source, mirror, isCompacted: true, limits }).verify()).result
}

/** The source, cleaned up to somewhere, and the mirror, cleaned up to somewhere else. */
function bothSides(random: Random): { theirs: ModelBatch[]; ours: ModelBatch[]; whole: ModelBatch[] } {
  const whole = randomLog(random)
  const end = stableEnd(whole)
  const cleaned = (): ModelBatch[] => clean(whole, random.below(end + 1), random.below(2) === 0)
  return { whole, theirs: cleaned(), ours: cleaned() }
}

const seeds = Array.from({ length: 150 }, (_, seed) => seed)

test(`what cleaning leaves at either side is equal by record (seeds 0 to ${seeds.length - 1})`, async () => {
  for (const seed of seeds) {
    const random = seededRandom(seed)
    const { theirs, ours } = bothSides(random)
    const result = await verify(logOf(theirs, random), logOf(ours, random), random)
    const told = `seed ${seed}: ${result.firstDifference?.message ?? result.message ?? ''}`
    assert.match(result.verdict, /^identical/, told)
  }
})

test(`a lost record that nothing supersedes is found by its offset (seeds 0 to ${seeds.length - 1})`, async () => {
  let lostCount = 0
  for (const seed of seeds) {
    const random = seededRandom(seed)
    const { theirs, ours, whole } = bothSides(random)
    const last = new Map<string, number>()
    for (const batch of whole)
      if (batch.producerId === undefined || outcomeOf(whole, batch) !== 'ABORT')
        for (const { key, offset } of batch.records) last.set(key, offset)
    const isLast = ({ key, offset, value }: ModelRecord): boolean => value !== null && last.get(key) === offset
    const candidates = ours.flatMap(({ records }) => records.filter(isLast))
    if (candidates.length === 0) continue
    const { offset } = candidates[random.below(candidates.length)]!
    const without = ours.map((batch) => ({ ...batch, records: batch.records.filter((one) => one.offset !== offset) }))
    lostCount += 1
    const lost = await verify(logOf(theirs, random), logOf(without, random), random)
    assert.deepEqual(
      [lost.verdict, lost.firstDifference?.kind, lost.firstDifference?.offset],
      ['different', 'missing', BigInt(offset)],
      `seed ${seed}: ${lost.message ?? ''}`,
    )
    const changed = ours.map((batch) => ({
      ...batch,
      records: batch.records.map((one) => (one.offset === offset ? { ...one, value: 'other' } : one)),
    }))
    const other = await verify(logOf(theirs, random), logOf(changed, random), random)
    assert.equal(other.verdict, 'different', `seed ${seed}`)
    assert.equal(other.firstDifference!.offset <= BigInt(offset), true)
  }
  assert(lostCount > seeds.length / 2)
})
