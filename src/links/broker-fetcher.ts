/**
 * The fetches of one link from one source broker: one loop, one fetch session, all partitions that this broker leads.
 * The next fetch leaves as soon as an answer is there; the logs write meanwhile.
 */
import type { Clock, Logger } from '../environment/environment.ts'
import type { MemoryBudget } from '../network/memory-budget.ts'
import type { Fetched, FetchPosition, Remote, RemoteFailure, RemoteTopic } from '../remote/remote.ts'
import type { LinkConfigs } from './link-configs.ts'
import type { MirrorPartition } from './mirror-partition.ts'

/** How long to wait for memory before asking again. */
const memoryRetryMs = 10
/**
 * What a fetch of an idle source reserves: it grows while answers are full, so that many idle ones leave room for
 * others.
 */
const idleBytes = 65_536

export interface FetcherParts {
  readonly remote: Remote
  readonly clock: Clock
  readonly logger: Logger
  readonly memory: MemoryBudget
  readonly configs: LinkConfigs
  /** The broker could not be asked: returns how long to wait at first, in ms. */
  onFailure(failure: RemoteFailure): number
}

interface Asked {
  readonly partition: MirrorPartition
  readonly position: FetchPosition
}

export class BrokerFetcher {
  readonly brokerId: number
  readonly #parts: FetcherParts
  readonly #partitions = new Map<MirrorPartition, RemoteTopic>()
  readonly #abort = new AbortController()
  #wake: (() => void) | undefined
  #isAwake = false
  /** Why it does not fetch any more: a defect. */
  #broken: string | undefined
  #failureCount = 0
  /** A partition that was here before, paused and resumed, is not known to have news by the session. */
  #mustRestart = false
  readonly #done: Promise<void>

  constructor(brokerId: number, parts: FetcherParts) {
    this.brokerId = brokerId
    this.#parts = parts
    this.#done = this.#run()
  }

  get partitionCount(): number {
    return this.#partitions.size
  }

  /** Takes a partition, or what the source says of its topic now. */
  set(partition: MirrorPartition, topic: RemoteTopic): void {
    if (!this.#partitions.has(partition)) this.#mustRestart = true
    this.#partitions.set(partition, topic)
    if (this.#broken !== undefined && partition.isRunning) partition.breakDown(this.#broken)
    this.notify()
  }

  delete(partition: MirrorPartition): void {
    this.#partitions.delete(partition)
  }

  /** Something may be ready to be fetched. */
  notify(): void {
    this.#isAwake = true
    this.#wake?.()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.notify()
    await this.#done
  }

  async #run(): Promise<void> {
    const { remote, clock, configs, memory } = this.#parts
    const { signal } = this.#abort
    const session = remote.openFetchSession(this.brokerId)
    const size = new FetchSize(configs.replicaFetchResponseMaxBytes)
    try {
      while (!signal.aborted) {
        this.#isAwake = false
        const asked = this.#positions()
        if (asked.size === 0) {
          await this.#sleep()
          continue
        }
        const maxBytes = size.bytes
        if (!memory.tryReserveForLinks(maxBytes)) {
          size.shrink()
          await clock.sleep(memoryRetryMs, signal)
          continue
        }
        if (this.#mustRestart) session.restart()
        this.#mustRestart = false
        const positions = [...asked.values()].map(({ position }) => position)
        const { replicaFetchWaitMaxMs: maxWaitMs, replicaFetchMinBytes: minBytes } = configs
        const result = await session.fetch(positions, { maxWaitMs, minBytes, maxBytes, signal })
        memory.release('link', maxBytes)
        if (signal.aborted) return
        if (result.ok) {
          this.#failureCount = 0
          size.note(result.partitions.reduce((sum, { records }) => sum + records.length, 0))
          // A session tells only what is new to it: what was dropped here would stay unknown until the source has more.
          if (this.#deliver(asked, result) === 'dropped') this.#mustRestart = true
          continue
        }
        const retryInMs = this.#backOff(this.#parts.onFailure(result))
        for (const partition of this.#partitions.keys()) partition.unreached(result.message, retryInMs)
        await clock.sleep(retryInMs, signal)
      }
    } catch (error) {
      this.#parts.logger.error({ err: error, sourceBroker: this.brokerId }, 'the fetches of a link broke off')
      this.#broken = `broken invariant: ${error instanceof Error ? error.message : String(error)}`
      for (const partition of this.#partitions.keys()) partition.breakDown(this.#broken)
    } finally {
      session.close()
    }
  }

  #backOff(firstMs: number): number {
    const retryInMs = firstMs * 2 ** Math.min(this.#failureCount++, 10)
    return Math.min(retryInMs, Math.max(firstMs, Number(this.#parts.configs.reconnectBackoffMaxMs)))
  }

  #positions(): Map<string, Asked> {
    const asked = new Map<string, Asked>()
    for (const [partition, topic] of this.#partitions) {
      const position = partition.position(topic)
      if (position) asked.set(keyOf(position), { partition, position })
    }
    return asked
  }

  /** Tells whether all of it was taken. */
  #deliver(asked: ReadonlyMap<string, Asked>, { partitions, version, release }: Fetched): 'taken' | 'dropped' {
    const { memory } = this.#parts
    let outcome: 'taken' | 'dropped' = 'taken'
    const writes: Promise<unknown>[] = []
    for (const answer of partitions) {
      const query = asked.get(keyOf(answer))
      if (!query || !this.#partitions.has(query.partition)) continue
      const written = query.partition.receive(answer, query.position, version)
      if (written === 'dropped') outcome = 'dropped'
      if (!written || written === 'dropped') continue
      this.#putLast(query.partition)
      const sizeBytes = answer.records.length
      memory.reserve('link', sizeBytes)
      // `receive` never rejects; a defect in it must not be taken for a failed source.
      const settled = written
        .finally(() => memory.release('link', sizeBytes))
        .catch((error: unknown) => {
          this.#parts.logger.error({ err: error, partition: query.partition.log.label }, 'a mirrored append broke off')
        })
      writes.push(settled)
    }
    Promise.all(writes).then(release, () => undefined) // none of them rejects
    return outcome
  }

  /**
   * What was served goes to the end of the next full request, so that the others come first where the answer is full.
   */
  #putLast(partition: MirrorPartition): void {
    const topic = this.#partitions.get(partition)
    if (!topic) return
    this.#partitions.delete(partition)
    this.#partitions.set(partition, topic)
  }

  /** Until something may be ready. */
  #sleep(): Promise<void> {
    if (this.#isAwake || this.#abort.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}

/** How much to ask for next: as much as the last answers had, doubled while they are full. */
class FetchSize {
  readonly #maxBytes: number
  bytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.bytes = Math.min(maxBytes, 1_048_576)
  }

  note(answerBytes: number): void {
    if (answerBytes * 2 > this.bytes) this.bytes = Math.min(this.bytes * 4, this.#maxBytes)
    else if (answerBytes * 8 < this.bytes) this.shrink()
  }

  shrink(): void {
    this.bytes = Math.min(this.#maxBytes, Math.max(idleBytes, Math.floor(this.bytes / 2)))
  }
}

function keyOf({ topicName, partitionIndex }: { topicName: string; partitionIndex: number }): string {
  return `${topicName}/${partitionIndex}`
}
