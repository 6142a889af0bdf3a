/**
 * Incremental fetches (KIP-227): a consumer names its partitions once, later requests and answers carry only what
 * changed. The rules of ids, epochs and eviction are those of Kafka's FetchSessionCache.
 */
import { zeroUuid, type Uuid } from '../../protocol/schema.ts'
import type { Environment } from '../environment/environment.ts'
import { KafkaError } from '../errors.ts'

/** A session that was not used for so long may go for a new one; one that is older may go for a larger one. */
const evictionMs = 120_000
const noSession = 0
const initialEpoch = 0
const finalEpoch = -1
const epochMax = 0x7fffffff

/** One partition as a fetch asks for it. */
export interface FetchPartition {
  /** Empty where the request carries ids. */
  readonly name: string
  /** Zero where the request carries names. */
  readonly topicId: Uuid
  readonly partitionIndex: number
  readonly currentLeaderEpoch: number
  readonly fetchOffset: bigint
  readonly lastFetchedEpoch: number
  readonly maxBytes: number
}

/** What decides whether an incremental answer names a partition. */
export interface PartitionNews {
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
  readonly sizeBytes: number
  readonly isRemarkable: boolean
}

export interface FetchSessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly isById: boolean
  readonly partitions: readonly FetchPartition[]
  readonly forgotten: readonly Pick<FetchPartition, 'name' | 'topicId' | 'partitionIndex'>[]
}

/** One fetch of a session, or of none. */
export interface FetchRound {
  /** Everything to read, in the order in which the limits on bytes are used up. */
  readonly partitions: readonly FetchPartition[]
  /** The names that topic ids stood for when the session met them; its owner adds to it. */
  readonly topicNames: Map<Uuid, string>
  /** Given what was found for each partition: which of them the answer names, and the session id it carries. */
  finish(news: readonly PartitionNews[]): { readonly sessionId: number; readonly isNamed: readonly boolean[] }
}

interface Entry {
  readonly wanted: FetchPartition
  readonly highWatermark: bigint
  readonly logStartOffset: bigint
}

interface Session {
  readonly id: number
  readonly isById: boolean
  readonly createdMs: number
  readonly topicNames: Map<Uuid, string>
  nextEpoch: number
  lastUsedMs: number
  /** In the order of the next read: what had data goes to the end, so that no partition starves another. */
  readonly entries: Map<string, Entry>
}

export class FetchSessions {
  readonly #slots: number
  readonly #environment: Pick<Environment, 'clock' | 'random'>
  readonly #sessions = new Map<number, Session>()

  constructor(slots: number, environment: Pick<Environment, 'clock' | 'random'>) {
    this.#slots = slots
    this.#environment = environment
  }

  get count(): number {
    return this.#sessions.size
  }

  /**
   * @throws KafkaError FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR: the
   * client then begins a new session.
   */
  begin(request: FetchSessionRequest): FetchRound {
    const { sessionId, sessionEpoch, partitions } = request
    if (sessionEpoch === initialEpoch || sessionEpoch === finalEpoch) {
      if (sessionId !== noSession) this.#sessions.delete(sessionId)
      return sessionEpoch === finalEpoch ? withoutSession(partitions) : this.#fullRound(request)
    }
    const session = this.#sessions.get(sessionId)
    if (!session) throw new KafkaError('FETCH_SESSION_ID_NOT_FOUND')
    if (session.nextEpoch !== sessionEpoch) throw new KafkaError('INVALID_FETCH_SESSION_EPOCH')
    if (session.isById !== request.isById) throw new KafkaError('FETCH_SESSION_TOPIC_ID_ERROR')
    update(session, request)
    session.lastUsedMs = this.#environment.clock.monotonicMs()
    if (session.entries.size === 0) {
      this.#sessions.delete(session.id)
      return withoutSession([])
    }
    session.nextEpoch = session.nextEpoch === epochMax ? 1 : session.nextEpoch + 1
    return incrementalRound(session)
  }

  /** Names everything. The session begins with its answer, if there is room. */
  #fullRound({ partitions, isById }: FetchSessionRequest): FetchRound {
    const topicNames = new Map<Uuid, string>()
    return {
      partitions,
      topicNames,
      finish: (news) => {
        const isNamed = news.map(() => true)
        const nowMs = this.#environment.clock.monotonicMs()
        if (!this.#makeRoom(partitions.length, nowMs)) return { sessionId: noSession, isNamed }
        const entries = new Map(partitions.map((wanted, index) => [keyOf(wanted), entryOf(wanted, news[index]!)]))
        const id = this.#newId()
        this.#sessions.set(id, { id, isById, createdMs: nowMs, lastUsedMs: nowMs, nextEpoch: 1, entries, topicNames })
        return { sessionId: id, isNamed }
      },
    }
  }

  #newId(): number {
    for (;;) {
      const id = this.#environment.random.below(0x7fffffff) + 1
      if (!this.#sessions.has(id)) return id
    }
  }

  /** Whether a session of so many partitions gets a slot: a free one, a stale one's, or that of a smaller old one. */
  #makeRoom(partitionCount: number, nowMs: number): boolean {
    if (this.#slots === 0) return false
    if (this.#sessions.size < this.#slots) return true
    let stalest: Session | undefined
    let smallest: Session | undefined
    for (const session of this.#sessions.values()) {
      if (!stalest || session.lastUsedMs < stalest.lastUsedMs) stalest = session
      if (nowMs - session.createdMs <= evictionMs) continue
      if (!smallest || session.entries.size < smallest.entries.size) smallest = session
    }
    const isStale = stalest !== undefined && nowMs - stalest.lastUsedMs > evictionMs
    const evicted = isStale ? stalest : smallest && smallest.entries.size < partitionCount ? smallest : undefined
    return evicted !== undefined && this.#sessions.delete(evicted.id)
  }
}

/** A round that no session remembers. */
function withoutSession(partitions: readonly FetchPartition[]): FetchRound {
  const finish: FetchRound['finish'] = (news) => ({ sessionId: noSession, isNamed: news.map(() => true) })
  return { partitions, topicNames: new Map(), finish }
}

function incrementalRound(session: Session): FetchRound {
  const round = [...session.entries.values()].map((entry) => entry.wanted)
  return {
    partitions: round,
    topicNames: session.topicNames,
    finish: (news) => {
      const isNamed = news.map((item, index) => finishPartition(session, round[index]!, item))
      return { sessionId: session.id, isNamed }
    },
  }
}

function finishPartition(session: Session, wanted: FetchPartition, news: PartitionNews): boolean {
  const key = keyOf(wanted)
  const entry = session.entries.get(key)
  if (!entry) return true // forgotten by a request behind this one
  const isNamed =
    news.sizeBytes > 0 ||
    news.isRemarkable ||
    news.highWatermark !== entry.highWatermark ||
    news.logStartOffset !== entry.logStartOffset
  if (news.sizeBytes > 0) session.entries.delete(key) // back in at the end
  session.entries.set(key, entryOf(entry.wanted, news))
  return isNamed
}

/** After something remarkable the partition is named once more when it is well again. */
function entryOf(wanted: FetchPartition, news: PartitionNews): Entry {
  return { wanted, highWatermark: news.isRemarkable ? -1n : news.highWatermark, logStartOffset: news.logStartOffset }
}

function update(session: Session, { partitions, forgotten }: FetchSessionRequest): void {
  for (const wanted of partitions) {
    const key = keyOf(wanted)
    const known = session.entries.get(key)
    session.entries.set(key, { highWatermark: -1n, logStartOffset: -1n, ...known, wanted })
  }
  for (const gone of forgotten) session.entries.delete(keyOf(gone))
}

/** What a partition is known by, whether it is asked for by name or by id. */
export function keyOf({
  name,
  topicId,
  partitionIndex,
}: Pick<FetchPartition, 'name' | 'topicId' | 'partitionIndex'>): string {
  return `${topicId === zeroUuid ? name : topicId}:${partitionIndex}`
}
