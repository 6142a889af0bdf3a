/**
 * Two logs that live through random operations, stops, kills and power cuts, one file open at a time: what they answer
 * is compared with a model, and the index files that a stop leaves with the batches of their segments, unless somebody
 * damages them: that is found out when they are used, and not before.
 */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { lastOffsetOf, splitBatches, type BatchRef } from '../../protocol/records/batch.ts'
import type { Disk } from '../../storage/disk.ts'
import { decodeOffsetEntries, decodeTimeEntries } from '../../storage/index-files.ts'
import type { LogHandle } from '../../storage/log-store.ts'
import type { PartitionLog } from '../../storage/log.ts'
import type { SegmentLogStore } from '../../storage/segment-log-store.ts'
import { TailBudget } from '../../storage/tail-cache.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'
import {
  append,
  mirror,
  must,
  openTestLog,
  openTestStore,
  read,
  readAllRecords,
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

interface Model {
  records: ModelRecord[]
  startOffset: bigint
  endOffset: bigint
  /** A power cut leaves everything below. */
  durableOffset: bigint
}

function emptyModel(): Model {
  return { records: [], startOffset: 0n, endOffset: 0n, durableOffset: 0n }
}

class World {
  readonly random: () => number
  readonly damages: boolean
  readonly isMirror: boolean
  disk: CrashDisk
  readonly models: readonly Model[] = [0, 1].map(() => ({
    records: [],
    startOffset: 0n,
    endOffset: 0n,
    durableOffset: 0n,
  }))
  #store: SegmentLogStore | undefined
  #logs: readonly LogHandle[] = []
  #valueCount = 0
  #topicNumber = 1
  #leaderEpoch = 0

  constructor(seed: number, { damages, isMirror }: { readonly damages: boolean; readonly isMirror: boolean }) {
    this.random = seededNumbers(seed)
    this.damages = damages
    this.isMirror = isMirror
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
      isMirror: this.isMirror,
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
    return this.isMirror ? this.#appendAsMirror(index) : this.#appendAsClient(index)
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
    const sent = this.#recordsOfSome()
    const results = await Promise.all(
      sent.map((records) => append(this.store, this.log(index), { batches: [testBatch({ records })] })),
    )
    for (const [at, records] of sent.entries()) {
      const { baseOffset } = must(results[at]!)
      assert.equal(baseOffset, model.endOffset)
      for (const { value, timestampMs } of records)
        model.records.push({ offset: model.endOffset++, timestampMs, value })
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
    Object.assign(model, { records: [], startOffset: at, endOffset: at, durableOffset: at })
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
    if (!isCut && !this.isMirror) assert.equal(logEndOffset, model.endOffset)
    model.endOffset = logEndOffset
    if (model.durableOffset > logEndOffset) model.durableOffset = logEndOffset
    const records = await readAllRecords(this.store, this.log(index))
    const found = records.filter(({ offset }) => offset >= model.startOffset)
    assert.deepEqual(
      found.map(({ offset, value }) => `${offset} ${Buffer.from(value!).toString()}`),
      model.records.map(({ offset, value }) => `${offset} ${value}`),
    )
  }

  async close(): Promise<void> {
    await this.store.close()
    for (const model of this.models) model.durableOffset = model.endOffset
    if (!this.damages) for (const index of [0, 1]) await checkIndexFiles(this.disk, `orders-${index}`)
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

/** Each entry of both indexes speaks of a batch of the segment, as Kafka's check of indexes demands. */
async function checkIndexFiles(disk: Disk, folder: string): Promise<void> {
  const names = (await disk.list(folder)).map(({ name }) => name)
  for (const name of names.filter((one) => one.endsWith('.log'))) {
    const base = BigInt(name.slice(0, 20))
    const path = `${folder}/${name.slice(0, 20)}`
    const batches = splitBatches(await disk.readFile(`${path}.log`))
    checkOffsetIndex(decodeOffsetEntries(await disk.readFile(`${path}.index`)), batches, base)
    checkTimeIndex(decodeTimeEntries(await disk.readFile(`${path}.timeindex`)), batches, base)
  }
}

function checkOffsetIndex(entries: ReturnType<typeof decodeOffsetEntries>, batches: readonly BatchRef[], base: bigint) {
  const lastOffsets = new Map<number, number>()
  let position = 0
  for (const { bytes, header } of batches) {
    lastOffsets.set(position, Number(lastOffsetOf(header) - base))
    position += bytes.length
  }
  for (const [at, entry] of entries.entries()) {
    assert.equal(entry.relativeOffset, lastOffsets.get(entry.position))
    assert(at === 0 || entry.position > entries[at - 1]!.position)
  }
}

function checkTimeIndex(entries: ReturnType<typeof decodeTimeEntries>, batches: readonly BatchRef[], base: bigint) {
  for (const [at, { timestampMs, relativeOffset }] of entries.entries()) {
    const upTo = batches.filter(({ header }) => Number(header.baseOffset - base) <= relativeOffset)
    assert.equal(timestampMs, largestTime(upTo))
    assert(at === 0 || timestampMs > entries[at - 1]!.timestampMs)
  }
  if (batches.length > 0) assert.equal(entries.at(-1)?.timestampMs, largestTime(batches))
}

function largestTime(batches: readonly BatchRef[]): bigint {
  return batches.reduce(
    (largest, { header: { maxTimestamp } }) => (maxTimestamp > largest ? maxTimestamp : largest),
    -1n,
  )
}

for (const seed of seedsOf(24)) {
  const damages = seed % 2 === 0
  const isMirror = seed % 4 >= 2
  const what = damages ? 'also with damaged indexes' : 'and leave whole indexes'
  const whose = isMirror ? 'logs of mirrors' : 'logs'
  test(`${whose} answer as their model after random operations, ${what} (seed ${seed})`, async () => {
    const world = new World(seed, { damages, isMirror })
    await world.open()
    for (let step = 0; step < 120; step++) {
      const index = world.below(2)
      const dice = world.random()
      if (dice < 0.4) await world.append(index)
      else if (dice < 0.6) await world.appendAndMore(index)
      else if (dice < 0.66) await world.truncate(index)
      else if (dice < 0.69) await world.deleteBefore(index)
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
