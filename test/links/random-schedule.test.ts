/**
 * The promise of a mirror, under everything that can happen to it: a source that is killed, loses records, deletes
 * them, grows, lies and is created anew, and a mirror that is killed and loses power, in random order from a seed.
 * Whatever happens, the mirror holds a part of one history of its source, whole batches in a row; and in the end it
 * equals the source, or is FAILED for a reason that is true.
 *
 * `MIRROR_ROUNDS=500 MIRROR_SEED=1000 node --test test/links/random-schedule.test.ts` runs that many seeds from that
 * one on.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { errorCodes } from '../../protocol/errors.ts'
import { lastOffsetOf, splitBatches } from '../../protocol/records/batch.ts'
import type { Random } from '../../src/environment/environment.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { toJson } from '../../src/json.ts'
import type { VerifyEvent } from '../../src/links/link-service.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'
import { CrashDisk } from '../support/crash-disk.ts'
import { bytesOf, describe, linkName, produce, until } from '../support/mirror.ts'
import { isPartOf, RandomSource } from '../support/random-source.ts'
import { ScriptedSource } from '../support/scripted-source.ts'

const rounds = Number(process.env['MIRROR_ROUNDS'] ?? 12)
const firstSeed = Number(process.env['MIRROR_SEED'] ?? 1)
const stepCount = 40
const clusterId = 'random-cluster'
const linkConfigs = {
  'reconnect.backoff.ms': '1',
  'reconnect.backoff.max.ms': '10',
  'replica.fetch.wait.max.ms': '10',
  'replica.fetch.max.bytes': '600',
  'request.timeout.ms': '1000',
  'metadata.max.age.ms': '1000',
}

/** What a round may do to a mirror that it cannot recover from. */
interface Flavor {
  readonly losesRecords: boolean
  readonly outrunsTheMirror: boolean
  readonly isCreatedAnew: boolean
}

class Schedule {
  readonly random: Random
  readonly flavor: Flavor
  readonly done: string[] = []
  readonly #t: TestContext
  readonly #network = new MemoryNetwork(nodeClock)
  readonly #source: ScriptedSource
  readonly #model: RandomSource
  #disk: CrashDisk
  #mirror: TestBroker | undefined
  #isSourceUp = true
  #isFailedOver = false
  #liesPercent = 0

  static async start(t: TestContext, seed: number): Promise<Schedule> {
    const random = seededRandom(seed)
    const network = new MemoryNetwork(nodeClock)
    const release = (['2.1', '2.3', '2.7', '4.0', '4.0', '4.0'] as const)[random.below(6)]!
    const ports = random.below(2) === 0 ? [9_192] : [9_192, 9_193]
    const source = await ScriptedSource.start(t, { network, release, ports, clusterId })
    const schedule = new Schedule(t, { random, network, source })
    await schedule.#begin()
    return schedule
  }

  private constructor(t: TestContext, world: { random: Random; network: MemoryNetwork; source: ScriptedSource }) {
    this.#t = t
    this.random = world.random
    this.#network = world.network
    this.#source = world.source
    this.#model = new RandomSource(world.source, 'orders', world.random)
    this.#disk = new CrashDisk(() => this.random.below(1000) / 1000)
    const hostility = this.random.below(6)
    // Without topic ids a recreation is told by heuristics: another test has those.
    const hasIds = this.#source.release === '4.0'
    this.flavor = {
      losesRecords: hostility === 1,
      outrunsTheMirror: hostility === 2,
      isCreatedAnew: hasIds && hostility === 3,
    }
  }

  async #begin(): Promise<void> {
    this.#model.create(1 + this.random.below(3))
    for (let count = 0; count < 5; count++) this.#model.append(this.#model.anyPartition())
    const { lies } = this.#source
    lies['Fetch'] = (_request: never, answer) => this.#lieOfFetch(answer)
    lies['Metadata'] = (_request: never, answer) => this.#lieOfMetadata(answer)
    lies['ListOffsets'] = (_request: never, answer) => this.#lieOfPartitions(answer)
    lies['OffsetForLeaderEpoch'] = (_request: never, answer) => this.#lieOfPartitions(answer)
    await this.#openMirror()
    const { links } = this.#mirror!.broker
    const configs = new Map(Object.entries({ 'bootstrap.servers': this.#source.bootstrapServers, ...linkConfigs }))
    await links!.createLink({ name: linkName, configs })
    await links!.createMirror(linkName, { sourceTopicName: 'orders' })
  }

  async #openMirror(): Promise<void> {
    const disk = this.#disk
    // One that was killed has been stopped, as well as it could.
    const cleanup = { after: (stop: () => unknown) => this.#t.after(() => (disk === this.#disk ? stop() : undefined)) }
    this.#mirror = await startTestBroker(cleanup, { network: this.#network, disk, port: 9093, seed: 7 })
    if (this.#mirror.broker.links!.listLinks().length > 0) await this.checkHistory()
  }

  #chance(percent: number): boolean {
    return this.random.below(100) < percent
  }

  /** One event, and a little time. */
  async step(): Promise<void> {
    if (!this.#mirror && this.#chance(50)) await this.#openMirror()
    if (!this.#isSourceUp && this.#chance(40)) await this.#reviveSource()
    const events = this.#events()
    let at = this.random.below(events.reduce((sum, [weight]) => sum + weight, 0))
    const [, name, event] = events.find(([weight]) => (at -= weight) < 0)!
    this.done.push(name)
    await event()
    if (this.#chance(30)) await this.checkHistory()
    await new Promise((resolve) => setTimeout(resolve, this.random.below(6)))
  }

  #events(): (readonly [weight: number, name: string, event: () => void | Promise<void>])[] {
    const model = this.#model
    const { losesRecords, outrunsTheMirror, isCreatedAnew } = this.flavor
    const change = (verb: 'pause' | 'resume') => async () => {
      await this.#mirror?.broker.links!.changeMirrors(linkName, verb, { names: ['orders'] }, { validateOnly: false })
    }
    return [
      [40, 'append', () => model.append(model.anyPartition())],
      [6, 'elect', () => model.elect(model.anyPartition())],
      [losesRecords ? 6 : 0, 'elect unclean', () => model.electUnclean(model.anyPartition())],
      [6, 'delete mirrored', () => this.#deleteMirrored()],
      [outrunsTheMirror ? 5 : 0, 'delete any', () => this.#deleteAny()],
      [model.pasts.length < 5 ? 3 : 0, 'add partition', () => model.addPartitions(1)],
      [isCreatedAnew ? 2 : 0, 'create anew', () => model.recreate()],
      [4, 'kill source', () => this.#killSource()],
      [4, 'disconnect', () => this.#source.disconnect()],
      [3, 'another cluster', () => this.#beAnotherCluster()],
      [6, 'lie', () => void (this.#liesPercent = this.random.below(30))],
      [6, 'be honest', () => void (this.#liesPercent = 0)],
      [3, 'kill mirror', () => this.#killMirror(true)],
      [3, 'mirror loses power', () => this.#killMirror(false)],
      [2, 'restart mirror', () => this.#restartMirror()],
      [3, 'pause', change('pause')],
      [8, 'resume', change('resume')],
    ]
  }

  /** As retention does that gives the mirror time. */
  #deleteMirrored(): void {
    const partitionIndex = this.#model.anyPartition()
    const log = this.#mirror?.broker.parts.topics.find('orders')?.partitions[partitionIndex]?.log
    if (!log) return
    const { logStartOffset, highWatermark } = this.#mirror!.broker.parts.logs.view(log)
    if (highWatermark === logStartOffset) return
    const offset = logStartOffset + BigInt(this.random.below(Number(highWatermark - logStartOffset) + 1))
    this.#model.deleteBefore(partitionIndex, offset)
  }

  #deleteAny(): void {
    const partitionIndex = this.#model.anyPartition()
    const end = this.#model.endOf(partitionIndex)
    this.#model.deleteBefore(partitionIndex, end - BigInt(this.random.below(10)))
  }

  async #killSource(): Promise<void> {
    if (!this.#isSourceUp) return
    this.#isSourceUp = false
    await this.#source.kill()
  }

  async #reviveSource(): Promise<void> {
    if (this.#isSourceUp) return
    this.#isSourceUp = true
    await this.#source.revive()
  }

  async #beAnotherCluster(): Promise<void> {
    this.#source.clusterId = 'another-cluster'
    this.#source.disconnect()
    await new Promise((resolve) => setTimeout(resolve, this.random.below(30)))
    this.#source.clusterId = clusterId
  }

  /**
   * The process ends at once: what was written to the operating system stays, or, without power, only what was synced.
   */
  async #killMirror(keepsUnsynced: boolean): Promise<void> {
    const mirror = this.#mirror
    if (!mirror) return
    this.#mirror = undefined
    this.#disk.tornShare = this.random.below(100) / 100
    this.#disk.fault = () => 'IO'
    await mirror.broker.stop().catch(() => undefined) // its disk does nothing any more
    this.#disk = keepsUnsynced ? this.#disk.kill() : this.#disk.crash()
  }

  async #restartMirror(): Promise<void> {
    await this.#mirror?.broker.stop()
    this.#mirror = undefined
  }

  async #lieOfFetch(answer: () => unknown): Promise<unknown> {
    const honest = (await answer()) as {
      responses: { partitions: { errorCode: number; records: Uint8Array[] }[] }[]
    }
    if (!this.#chance(this.#liesPercent)) return honest
    const lie = this.random.below(4)
    if (lie === 0) return { close: true }
    for (const partition of honest.responses.flatMap(({ partitions }) => partitions)) {
      const bytes = partition.records[0]?.slice()
      if (lie === 1) Object.assign(partition, { errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, records: [] })
      if (lie === 2 && bytes) bytes[bytes.length - 1]! ^= 1 // on its way: a record, which the checksum covers
      if (lie > 1 && bytes) partition.records = [lie === 2 ? bytes : bytes.subarray(0, this.random.below(bytes.length))]
    }
    return honest
  }

  #lieOfMetadata(answer: () => unknown): unknown {
    const honest = answer() as { topics: { errorCode: number; partitions: { leaderId: number }[] }[] }
    if (!this.#chance(this.#liesPercent)) return honest
    for (const topic of honest.topics) {
      if (this.#chance(50)) Object.assign(topic, { errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, partitions: [] })
      else for (const partition of topic.partitions) partition.leaderId = -1
    }
    return honest
  }

  #lieOfPartitions(answer: () => unknown): unknown {
    const honest = answer() as { topics: { partitions: { errorCode: number }[] }[] }
    if (!this.#chance(this.#liesPercent)) return honest
    for (const { partitions } of honest.topics)
      for (const partition of partitions) partition.errorCode = errorCodes.NOT_LEADER_OR_FOLLOWER
    return honest
  }

  /** What the mirror holds stood like this in the source, at one time. */
  async checkHistory(): Promise<void> {
    const mirror: TestBroker | undefined = this.#mirror
    const topic = mirror?.broker.parts.topics.find('orders')
    if (!mirror || !topic || this.#isFailedOver) return
    for (const { partitionIndex } of topic.partitions) {
      const bytes: unknown = await bytesOf(mirror, 'orders', partitionIndex).catch((error: unknown) => error)
      if (bytes instanceof Error && bytes.message.includes('has offsets')) continue // the log start has moved meanwhile
      assert(bytes instanceof Buffer, String(bytes))
      const batches = splitBatches(bytes).map((batch) => batch.bytes)
      const past = this.#model.pasts[partitionIndex]!
      if (past.histories.some((history) => isPartOf(history, batches))) continue
      const told = [batches, ...past.histories].map((one) => one.map(nameOf).join(' ')).join('\n')
      assert.fail(
        `partition ${partitionIndex} holds what its source never had like this:\n${told}\n${toJson(mirror.log)}`,
      )
    }
  }

  /** All is well again: the mirror ends as its source, or has failed with good reason. */
  async settle(): Promise<string> {
    this.#liesPercent = 0
    await this.#reviveSource()
    if (!this.#mirror) await this.#openMirror()
    const mirror = this.#mirror!
    await mirror.broker.links!.changeMirrors(linkName, 'resume', { names: ['orders'] }, { validateOnly: false })
    this.#model.append(0)
    let wrong: string | undefined
    await until('the mirror is equal or FAILED', async () => {
      if (describe(mirror).status === 'FAILED') return true
      wrong = await this.#difference(mirror)
      return wrong === undefined
    }).catch((error: unknown) => {
      const shown = toJson([describe(mirror), mirror.log.filter(({ level }) => level !== 'debug').slice(-10)])
      throw new Error(`${wrong ?? ''}; ${shown}`, { cause: error })
    })
    await this.checkHistory()
    if (describe(mirror).status === 'FAILED') return this.#checkFailure(mirror)
    assert.equal(await verdictOf(mirror), 'identical')
    await until('the lag is 0', () => describe(mirror).partitions.every(({ lag }) => lag === 0n))
    return 'equal'
  }

  async #difference(mirror: TestBroker): Promise<string | undefined> {
    const { status, partitions } = describe(mirror)
    const { topic } = this.#model
    if (status !== 'ACTIVE') return `it is ${status}`
    if (partitions.length !== topic.partitions.length) return `it has ${partitions.length} partitions`
    for (const { partitionIndex, logStartOffset, logEndOffset } of partitions) {
      const theirs = topic.partitions[partitionIndex]!
      const end = this.#model.endOf(partitionIndex)
      if (logEndOffset !== end) return `partition ${partitionIndex} ends at ${logEndOffset}, the source at ${end}`
      if (logStartOffset !== theirs.logStartOffset)
        return `partition ${partitionIndex} begins at ${logStartOffset}, the source at ${theirs.logStartOffset}`
      const bytes = await bytesOf(mirror, 'orders', partitionIndex)
      if (!bytes.equals(this.#model.bytesOf(partitionIndex))) return `the bytes of partition ${partitionIndex} differ`
    }
    return undefined
  }

  /** A mirror fails only for what has happened. */
  async #checkFailure(mirror: TestBroker): Promise<string> {
    const { error, reason, partitions } = describe(mirror)
    const told = `${error}: ${reason}`
    if (error === 'SOURCE_TOPIC_ID_CHANGED') {
      assert(this.#model.recreations > 0, told)
      return error
    }
    assert.equal(error, 'UNEXPECTED_TRUNCATION', told)
    const gap = /offsets (\d+) to (\d+) of partition (\d+)/.exec(told)
    if (gap) {
      const [from, to, partitionIndex] = [BigInt(gap[1]!), BigInt(gap[2]!), Number(gap[3])]
      const { logEndOffset } = partitions[partitionIndex]!
      assert(logEndOffset === from || (logEndOffset < from && this.done.includes('mirror loses power')), told)
      assert(this.#model.pasts[partitionIndex]!.logStarts.has(to + 1n), told)
      return 'gap'
    }
    const partitionIndex = Number(/partition (\d+)/.exec(told)?.[1])
    const past = this.#model.pasts[partitionIndex]!
    assert(past.uncleanElections > 0, told)
    const heldOffset = BigInt(/records up to (\d+)/.exec(told)![1]!)
    if (partitions[partitionIndex]!.logEndOffset < heldOffset) {
      assert(this.done.includes('mirror loses power'), told) // afterwards: what differed is lost here too
      return 'truncated'
    }
    const batches = splitBatches(await bytesOf(mirror, 'orders', partitionIndex)).map(({ bytes }) => bytes)
    assert(!isPartOf(past.histories.at(-1)!, batches), `nothing that is mirrored was lost, but ${told}`)
    return 'truncated'
  }

  /** The source is gone for good. */
  async failOver(): Promise<void> {
    if (!this.#mirror) await this.#openMirror()
    await this.#killSource()
    const { links } = this.#mirror!.broker
    const before = describe(this.#mirror!).partitions.map(({ leaderEpoch }) => leaderEpoch)
    const [change] = await links!.changeMirrors(linkName, 'failover', { names: ['orders'] }, { validateOnly: false })
    assert.equal(change!.errorCode, null)
    this.#isFailedOver = true
    // It was answered: nothing that comes now may change where it ends.
    const ends = describe(this.#mirror!).partitions.map(({ logEndOffset }) => logEndOffset)
    const killedAfterMs = this.random.below(8)
    if (this.#chance(60)) {
      await new Promise((resolve) => setTimeout(resolve, killedAfterMs))
      await this.#killMirror(this.#chance(30))
      await this.#openMirror()
    }
    const mirror = this.#mirror!
    const isStopped = (): boolean => describe(mirror).status === 'STOPPED'
    await until('the mirror is STOPPED', isStopped, 1_000).catch((error: unknown) => {
      throw new Error(toJson([describe(mirror), mirror.log.slice(-10)]), { cause: error })
    })
    for (const { partitionIndex, lastSourceFetchOffset } of describe(mirror).partitions)
      assert(lastSourceFetchOffset <= ends[partitionIndex]!, 'the stop offset is what was mirrored')
    for (const { partitionIndex, leaderEpoch } of describe(mirror).partitions) {
      const { logs, topics } = mirror.broker.parts
      const view = logs.view(topics.find('orders')!.partitions[partitionIndex]!.log)
      assert.equal(view.lastStableOffset, view.highWatermark)
      assert(leaderEpoch > (before[partitionIndex] ?? -1)) // it may just be new
      assert.equal(await produce(mirror, { partition: partitionIndex }), view.logEndOffset)
    }
    await this.#reviveSource()
    this.#liesPercent = 0
    const past = this.#model.pasts.some(({ uncleanElections }) => uncleanElections > 0)
    if (past || this.#model.recreations > 0) return
    // A source that deletes more than the mirror had leaves nothing to compare.
    assert.match(await verdictOf(mirror), /^(?:identical$|unknown: .* have no offset in common)/)
  }
}

/** Offsets and leader epoch of a batch. */
function nameOf(bytes: Uint8Array): string {
  const { header } = splitBatches(bytes)[0]!
  return `${header.baseOffset}-${lastOffsetOf(header)}/${header.partitionLeaderEpoch}`
}

async function verdictOf({ broker }: TestBroker): Promise<string> {
  let last: VerifyEvent | undefined
  for await (const event of broker.links!.verify(linkName, 'orders', new AbortController().signal)) last = event
  assert(last?.kind === 'result')
  return last.verdict === 'identical'
    ? last.verdict
    : `${last.verdict}: ${last.message ?? last.firstDifference?.message}`
}

for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
  test(`a mirror holds what its source had, whatever happens to both (seed ${seed})`, async (t) => {
    const schedule = await Schedule.start(t, seed)
    try {
      for (let count = 0; count < stepCount; count++) await schedule.step()
      if (schedule.random.below(4) === 0) await schedule.failOver()
      else t.diagnostic(await schedule.settle())
    } catch (error) {
      t.diagnostic(`${JSON.stringify(schedule.flavor)} ${schedule.done.join(', ')}`)
      throw error
    }
  })
}
