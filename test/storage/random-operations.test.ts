/**
 * Two logs that live through random operations, stops, kills and power cuts, one file open at a time: what they answer
 * is compared with a model, and the index files that a stop leaves with the batches of their segments, unless somebody
 * damages them: that is found out when they are used, and not before.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import {
  isControl,
  isTransactional,
  lastOffsetOf,
  readBatchHeader,
  splitBatches,
  type BatchRef,
} from '../../protocol/records/batch.ts'
import { buildEndTransactionMarker } from '../../protocol/records/control.ts'
import { decodeRecords } from '../../protocol/records/record.ts'
import type { LogHandle } from '../../storage/log-store.ts'
import type { PartitionLog } from '../../storage/log.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import { checkIndexFiles } from '../support/index-check.ts'
import {
  append,
  mirror,
  must,
  openTestLog,
  openTestStore,
  read,
  readAllBatches,
  testBatch,
  testNowMs,
  testTopicId,
} from '../support/logs.ts'
import { seedsOf } from '../support/power-cuts.ts'

const topic = { partitionCount: 2, config: { segmentBytes: 2_500, indexIntervalBytes: 200 } }
const link = { lease: 'link', fenceEpoch: 1n }

interface ModelRecord {
  readonly offset: bigint
  readonly timestampMs: bigint
  /** Of this record alone. */
  readonly value: string
}

/** What an idempotent producer has sent. */
interface SentBatch {
  readonly batch: BatchRef
  readonly baseOffset: bigint
}

/** A batch of a transaction, or its marker. */
interface TransactionStep {
  readonly kind: 'data' | 'commit' | 'abort'
  readonly producerId: bigint
  readonly firstOffset: bigint
  readonly lastOffset: bigint
}

interface Model {
  /** Of producers, in the order of their offsets. */
  sent: SentBatch[]
  readonly producerIds: bigint[]
  steps: TransactionStep[]
  records: ModelRecord[]
  startOffset: bigint
  endOffset: bigint
  /** A power cut leaves everything below. */
  durableOffset: bigint
}

function emptyModel(): Model {
  return {
    sent: [],
    producerIds: [0n, 0n, 0n],
    steps: [],
    records: [],
    startOffset: 0n,
    endOffset: 0n,
    durableOffset: 0n,
  }
}

/** First offsets of the transactions that are open, and those that were aborted, in order of first offsets. */
function transactionsOf({ steps }: Model) {
  const open = new Map<bigint, bigint>()
  const aborted: { producerId: bigint; firstOffset: bigint }[] = []
  for (const { kind, producerId, firstOffset } of steps) {
    const begun = open.get(producerId)
    if (kind === 'data') open.set(producerId, begun ?? firstOffset)
    else open.delete(producerId)
    if (kind === 'abort' && begun !== undefined) aborted.push({ producerId, firstOffset: begun })
  }
  return { open, aborted: aborted.sort((a, b) => Number(a.firstOffset - b.firstOffset)) }
}

interface Kind {
  readonly damages: boolean
  readonly isMirror: boolean
  readonly isTransactional: boolean
}

class World {
  readonly random: () => number
  readonly kind: Kind
  disk: CrashDisk
  readonly models: readonly Model[] = [emptyModel(), emptyModel()]
  #store: SegmentLogStore | undefined
  #logs: readonly LogHandle[] = []
  #valueCount = 0
  #nextProducerId = 1_000n
  #topicNumber = 1
  #leaderEpoch = 0

  constructor(seed: number, kind: Kind) {
    this.random = seededNumbers(seed)
    this.kind = kind
    this.disk = new CrashDisk(this.random)
  }

  get store(): SegmentLogStore {
    assert(this.#store)
    return this.#store
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  log(index: number): LogHandle {
    return this.#logs[index]!
  }

  async open(): Promise<void> {
    const limitBytes = [1, 3_000, 1_000_000][this.below(3)]!
    this.#store = await openTestStore({
      disk: this.disk,
      maxOpenFiles: 1,
      tailBudget: new TailBudget(limitBytes),
      tailBytesPerLog: limitBytes,
      unsyncedLimitBytes: 2_000 + this.below(20_000),
    })
    await this.#openLogs()
  }

  async #openLogs(): Promise<void> {
    const first = await openTestLog(this.store, {
      ...topic,
      isMirror: this.kind.isMirror,
      topicId: testTopicId(this.#topicNumber),
    })
    this.#logs = [first, this.store.find({ ...first.id, partitionIndex: 1 })!]
  }

  #recordsOfSome(): { key: string; value: string; timestampMs: bigint }[][] {
    const record = () => ({
      key: 'k',
      value: `${this.#valueCount++}`.padEnd(1 + this.below(80)),
      timestampMs: testNowMs + BigInt(this.below(1_000)),
    })
    return Array.from({ length: 1 + this.below(4) }, () => Array.from({ length: 1 + this.below(3) }, record))
  }

  append(index: number): Promise<void> {
    return this.kind.isMirror ? this.#appendAsMirror(index) : this.#appendAsClient(index)
  }

  /** Batches with gaps between them and leader epochs that rise. */
  async #appendAsMirror(index: number): Promise<void> {
    const model = this.models[index]!
    const before = model.endOffset
    const batches = this.#recordsOfSome().map((records) => {
      if (this.random() < 0.3) model.endOffset += BigInt(this.below(5))
      if (this.random() < 0.1) this.#leaderEpoch += 1
      const batch = testBatch({ records, baseOffset: model.endOffset, leaderEpoch: this.#leaderEpoch })
      for (const { value, timestampMs } of records)
        model.records.push({ offset: model.endOffset++, timestampMs, value })
      return batch
    })
    must(await mirror(this.store, this.log(index), batches, before))
  }

  async #appendAsClient(index: number): Promise<void> {
    const model = this.models[index]!
    const sent = this.#recordsOfSome().map((records) => {
      const { isTransactional } = this.kind
      const sequence = this.random() < 0.5 ? { ...this.#sequenceOf(model), isTransactional } : {}
      const batch = testBatch({ records, ...sequence })
      model.sent.push({ batch, baseOffset: -1n })
      return { records, batch }
    })
    model.sent = model.sent.filter(({ baseOffset }) => baseOffset >= 0n)
    const results = await Promise.all(
      sent.map(({ batch }) => append(this.store, this.log(index), { batches: [batch] })),
    )
    for (const [at, { records, batch }] of sent.entries()) {
      const { baseOffset, duplicate } = must(results[at]!)
      assert.deepEqual([baseOffset, duplicate], [model.endOffset, false])
      const { producerId } = batch.header
      if (producerId >= 0n) model.sent.push({ batch, baseOffset })
      const lastOffset = baseOffset + BigInt(records.length) - 1n
      if (isTransactional(batch.header))
        model.steps.push({ kind: 'data', producerId, firstOffset: baseOffset, lastOffset })
      for (const { value, timestampMs } of records)
        model.records.push({ offset: model.endOffset++, timestampMs, value })
    }
  }

  async endTransaction(index: number): Promise<void> {
    const model = this.models[index]!
    const [producerId] = transactionsOf(model).open.keys()
    if (producerId === undefined) return
    const commit = this.random() < 0.5
    const about = { producerId, producerEpoch: 0, coordinatorEpoch: 0, commit, timestampMs: testNowMs }
    const bytes = buildEndTransactionMarker(about)
    const batches = [{ bytes, header: readBatchHeader(bytes) }]
    const { baseOffset } = must(await append(this.store, this.log(index), { batches, origin: 'coordinator' }))
    assert.equal(baseOffset, model.endOffset)
    model.records.push({ offset: model.endOffset++, timestampMs: testNowMs, value: 'marker' })
    const kind = commit ? 'commit' : 'abort'
    model.steps.push({ kind, producerId, firstOffset: baseOffset, lastOffset: baseOffset })
  }

  async checkTransactions(index: number): Promise<void> {
    const log = this.log(index)
    const model = this.models[index]!
    const { open, aborted } = transactionsOf(model)
    const stable = [...open.values()].reduce((least, first) => (first < least ? first : least), model.endOffset)
    assert.equal(this.store.view(log).lastStableOffset, stable)
    if (!model.records.some(({ offset }) => offset < stable)) return
    const all = { offset: model.startOffset, isolation: 'committed' as const }
    const found = must(await read(this.store, log, all))
    const batches = found.chunks.flatMap((chunk) => splitBatches(chunk))
    const end = lastOffsetOf(batches.at(-1)!.header) + 1n
    assert(end <= stable)
    assert.deepEqual(
      found.aborted,
      aborted.filter(({ firstOffset }) => firstOffset < end),
    )
  }

  /** The next sequence of a producer: of one that the log may have forgotten, a new one takes the place. */
  #sequenceOf({ sent, producerIds, startOffset }: Model): {
    producerId: bigint
    producerEpoch: number
    baseSequence: number
  } {
    const place = this.below(3)
    const last = sent.findLast(({ batch }) => batch.header.producerId === producerIds[place])
    const isKnown = last && (last.baseOffset < 0n || last.baseOffset >= startOffset)
    if (!isKnown) producerIds[place] = this.#nextProducerId++
    const baseSequence = isKnown ? last.batch.header.baseSequence + last.batch.header.recordCount : 0
    return { producerId: producerIds[place]!, producerEpoch: 0, baseSequence }
  }

  /** What a producer sends again because the answer was lost is found to be there. */
  async sendAgain(index: number): Promise<void> {
    const { sent, startOffset } = this.models[index]!
    const lasts = new Map(sent.map((each) => [each.batch.header.producerId, each]))
    for (const { batch, baseOffset } of lasts.values()) {
      if (baseOffset < startOffset) continue
      const again = must(await append(this.store, this.log(index), { batches: [batch] }))
      assert.deepEqual([again.duplicate, again.baseOffset], [true, baseOffset])
    }
  }

  async flush(index: number): Promise<void> {
    const model = this.models[index]!
    const { endOffset } = model
    must(await this.store.flush(this.log(index)))
    model.durableOffset = endOffset
  }

  /** What changes nothing, beside appends. */
  async appendAndMore(index: number): Promise<void> {
    const log = this.log(index)
    const all = { offset: this.models[index]!.startOffset }
    const note = () => (log as PartitionLog).checkpoint.run()
    const keepHouse = () => this.store.housekeep(testNowMs) // writes the recovery points
    const others = [() => read(this.store, log, all), note, () => this.store.flush(log), keepHouse]
    const some = others.filter(() => this.random() < 0.5)
    await Promise.all([this.append(index), ...some.map((work) => work())])
  }

  async truncate(index: number): Promise<void> {
    const model = this.models[index]!
    const { startOffset, endOffset } = model
    const at = startOffset + BigInt(this.below(Number(endOffset - startOffset) + 1))
    const log = this.log(index)
    // A checkpoint that has begun, or is about to.
    const noting = this.random() < 0.5 ? (log as PartitionLog).checkpoint.run() : undefined
    if (this.random() < 0.5) await this.disk.nextTurn()
    const { logEndOffset } = must(await this.store.truncateTo(log, at, link))
    await noting
    assert(logEndOffset <= at && logEndOffset >= startOffset, 'a cut within a batch takes all of it')
    model.endOffset = logEndOffset
    if (model.durableOffset > logEndOffset) model.durableOffset = logEndOffset
    model.records = model.records.filter(({ offset }) => offset < logEndOffset)
    model.sent = model.sent.filter(({ baseOffset }) => baseOffset < logEndOffset)
    model.steps = model.steps.filter(({ lastOffset }) => lastOffset < logEndOffset)
  }

  async deleteBefore(index: number): Promise<void> {
    const model = this.models[index]!
    const { startOffset, endOffset } = model
    const at = startOffset + BigInt(this.below(Number(endOffset - startOffset) / 2 + 1))
    must(await this.store.deleteBefore(this.log(index), at))
    model.startOffset = at
    if (model.durableOffset < at) model.durableOffset = at
    model.records = model.records.filter(({ offset }) => offset >= at)
  }

  async startAnew(index: number): Promise<void> {
    const model = this.models[index]!
    const at = BigInt(this.below(2 * Number(model.endOffset) + 1))
    must(await this.store.startAt(this.log(index), at, link))
    Object.assign(model, { ...emptyModel(), startOffset: at, endOffset: at, durableOffset: at })
  }

  /** Another topic takes the name. */
  async recreate(): Promise<void> {
    must(await this.store.drop(testTopicId(this.#topicNumber)))
    this.#topicNumber += 1
    for (const model of this.models) Object.assign(model, emptyModel())
    await this.#openLogs()
  }

  async damageIndex(index: number): Promise<void> {
    const names = (await this.disk.list(`orders-${index}`)).map(({ name }) => name)
    const indexes = names.filter((name) => /\.(time)?index$/.test(name))
    const name = indexes[this.below(indexes.length)]
    if (name === undefined) return
    const path = `orders-${index}/${name}`
    const bytes = await this.disk.readFile(path)
    const half = bytes.subarray(0, bytes.length >> 1)
    const kinds = [half, Buffer.concat([half, new Uint8Array(bytes.length)]), Buffer.concat([bytes, bytes]), undefined]
    const damaged = kinds[this.below(kinds.length)]
    if (damaged) await this.disk.replaceFile(path, damaged)
    else await this.disk.remove(path)
  }

  async reopen(): Promise<void> {
    const dice = this.random()
    if (dice < 0.4) await this.close()
    else if (dice < 0.7) this.disk = this.disk.kill()
    else this.disk = this.disk.crash()
    await this.open()
    for (const index of [0, 1]) await this.checkAll(index, dice >= 0.7)
  }

  /** After a power cut the log is a beginning of what it was. */
  async checkAll(index: number, isCut = false): Promise<void> {
    const model = this.models[index]!
    const { logEndOffset } = this.store.view(this.log(index))
    const lastOf = (until: bigint) => model.records.findLast(({ offset }) => offset < until)?.offset
    if (isCut) {
      assert((lastOf(logEndOffset) ?? -1n) >= (lastOf(model.durableOffset) ?? -1n), `ends at ${logEndOffset}`)
      model.records = model.records.filter(({ offset }) => offset < logEndOffset)
    }
    // A gap at the end of a mirror is not there after a restart.
    assert(logEndOffset <= model.endOffset)
    if (!isCut && !this.kind.isMirror) assert.equal(logEndOffset, model.endOffset)
    model.endOffset = logEndOffset
    if (model.durableOffset > logEndOffset) model.durableOffset = logEndOffset
    model.sent = model.sent.filter(({ baseOffset }) => baseOffset < logEndOffset)
    model.steps = model.steps.filter(({ lastOffset }) => lastOffset < logEndOffset)
    const batches = await readAllBatches(this.store, this.log(index))
    const records = batches.flatMap((batch) => {
      const textOf = (value: Uint8Array | null) => (isControl(batch.header) ? 'marker' : Buffer.from(value!).toString())
      return decodeRecords(batch).map(({ offset, value }) => ({ offset, text: textOf(value) }))
    })
    const found = records.filter(({ offset }) => offset >= model.startOffset)
    assert.deepEqual(
      found.map(({ offset, text }) => `${offset} ${text}`),
      model.records.map(({ offset, value }) => `${offset} ${value}`),
    )
    await this.sendAgain(index)
    await this.checkTransactions(index)
  }

  async close(): Promise<void> {
    await this.store.close()
    for (const model of this.models) model.durableOffset = model.endOffset
    if (!this.kind.damages) for (const index of [0, 1]) await checkIndexFiles(this.disk, `orders-${index}`)
  }

  async check(index: number): Promise<void> {
    const log = this.log(index)
    const { records, startOffset, endOffset } = this.models[index]!
    const view = this.store.view(log)
    assert.deepEqual([view.logStartOffset, view.logEndOffset], [startOffset, endOffset])
    for (let times = 0; times < 5; times++) {
      const offset = startOffset + BigInt(this.below(Number(endOffset - startOffset) + 1))
      const { chunks } = must(await read(this.store, log, { offset, maxBytes: 1 + this.below(2_000) }))
      const [first, ...others] = chunks.flatMap((chunk) => splitBatches(chunk))
      const wanted = records.find((record) => record.offset >= offset)?.offset
      if (wanted === undefined) assert.equal(first, undefined)
      else assert(first && first.header.baseOffset <= wanted && lastOffsetOf(first.header) >= wanted, `at ${offset}`)
      let last = first && lastOffsetOf(first.header)
      for (const { header } of others) {
        assert.equal(header.baseOffset, records.find((record) => record.offset > last!)?.offset)
        last = lastOffsetOf(header)
      }
      const time = testNowMs + BigInt(this.below(1_000))
      const { found } = must(await this.store.offsetForTime(log, time))
      assert.equal(found?.offset, records.find(({ timestampMs }) => timestampMs >= time)?.offset, `time ${time}`)
    }
  }
}

for (const seed of seedsOf(24)) {
  const damages = seed % 2 === 0
  const isMirror = seed % 4 >= 2
  const kind = { damages, isMirror, isTransactional: !isMirror && seed % 8 >= 4 }
  const what = damages ? 'also with damaged indexes' : 'and leave whole indexes'
  const whose = isMirror ? 'logs of mirrors' : 'logs'
  test(`${whose} answer as their model after random operations, ${what} (seed ${seed})`, async () => {
    const world = new World(seed, kind)
    await world.open()
    for (let step = 0; step < 120; step++) {
      const index = world.below(2)
      const dice = world.random()
      if (dice < 0.4) await world.append(index)
      else if (dice < 0.6) await world.appendAndMore(index)
      else if (dice < 0.66) await world.truncate(index)
      else if (dice < 0.69) await (kind.isTransactional ? world.endTransaction(index) : world.deleteBefore(index))
      else if (dice < 0.695) await world.startAnew(index)
      else if (dice < 0.7) await world.recreate()
      else if (dice < 0.76) await world.reopen()
      else if (dice < 0.8) await world.flush(index)
      else if (dice < 0.9 && damages) await world.damageIndex(index)
      else await world.check(index)
    }
    for (const index of [0, 1]) {
      await world.check(index)
      await world.checkAll(index)
    }
    await world.close()
  })
}
