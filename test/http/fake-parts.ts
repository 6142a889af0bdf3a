/** A broker as the HTTP API sees it: one topic, one link, one mirror, and a record of every command. */
import { BrokerMetrics } from '../../src/metrics/broker-metrics.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import type { HttpParts } from '../../src/http/parts.ts'
import {
  LinkServiceError,
  type LinkDescription,
  type LinkService,
  type MirrorDescription,
  type MirrorPartitionDescription,
  type VerifyEvent,
} from '../../src/links/link-service.ts'
import type { MetadataImage, TopicImage } from '../../src/metadata/metadata-store.ts'

export const clusterId = 'bXktY2x1c3Rlci0wMDAwMQ'
export const linkId = 'eEBkTffYSESld6EO898x3w'
/** An odd offset above 2^53: a double would round it. */
export const hugeOffset = 9_007_199_254_740_993n

export const partition: MirrorPartitionDescription = {
  partitionIndex: 0,
  state: 'ACTIVE',
  lag: 3n,
  lastSourceFetchOffset: hugeOffset,
  logStartOffset: 0n,
  logEndOffset: hugeOffset - 3n,
  leaderEpoch: 4,
  lastFetchMs: 1_700_000_000_000,
  reason: null,
  sinceMs: null,
  nextRetryMs: null,
}
export const mirror: MirrorDescription = {
  linkName: 'from-west',
  mirrorTopicName: 'clicks',
  sourceTopicName: 'clicks',
  sourceTopicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
  status: 'ACTIVE',
  error: 'NO_ERROR',
  reason: null,
  stateSinceMs: 1_612_550_939_300,
  identity: 'strong',
  partitions: [partition],
}
const link: LinkDescription = {
  name: 'from-west',
  linkId,
  sourceClusterId: 'west',
  state: 'ACTIVE',
  error: 'NO_ERROR',
  errorMessage: null,
  mirrorTopicNames: ['clicks'],
  partitionCounts: { active: 1, paused: 0, inError: 0, pending: 0 },
}
const topic: TopicImage = {
  name: 'clicks',
  topicId: 'AAAAAAAAAAAAAAAAAAAAAg',
  isInternal: false,
  partitions: [{ partitionIndex: 0, leader: 1, leaderEpoch: 0, partitionEpoch: 0, replicas: [1], isr: [1] }],
  configs: new Map([['retention.ms', '1000']]),
  mirror: undefined,
}

export interface FakeParts extends HttpParts {
  /** Every change that was asked for: the method, then its arguments. */
  readonly calls: unknown[][]
  /** Resolves when a verification that never ends by itself was aborted. */
  readonly verifyAborted: Promise<void>
}

/** `verifyEvents` are streamed; without them the verification runs until it is aborted. */
export function fakeParts(
  options: { readonly verifyEvents?: readonly VerifyEvent[]; readonly failWith?: Error } = {},
): FakeParts {
  const calls: unknown[][] = []
  const aborted = Promise.withResolvers<void>()
  const called = async (...call: unknown[]) => {
    calls.push(call)
    if (options.failWith) throw options.failWith
  }
  const links: LinkService = {
    async createLink(created) {
      await called('createLink', created)
      return link
    },
    listLinks: () => [link],
    describeLink(name) {
      if (name === link.name) return link
      throw new LinkServiceError(
        'LINK_NOT_FOUND',
        `The cluster link doesn't exist: Cluster link '${name}' does not exist.`,
      )
    },
    listLinkConfigs: () => [
      { name: 'bootstrap.servers', value: 'west:9092', isDefault: false, isReadOnly: false, isSensitive: false },
      { name: 'sasl.jaas.config', value: null, isDefault: false, isReadOnly: false, isSensitive: true },
    ],
    deleteLink: async (name, deleteOptions) => called('deleteLink', name, deleteOptions),
    async createMirror(linkName, created) {
      await called('createMirror', linkName, created)
      return mirror
    },
    listMirrors: () => [mirror],
    describeMirror(linkName, name) {
      if (name === mirror.mirrorTopicName) return mirror
      throw new LinkServiceError('MIRROR_NOT_FOUND', `there is no mirror topic ${name} at link ${linkName}`)
    },
    async changeMirrors(linkName, verb, topics, changeOptions) {
      await called('changeMirrors', linkName, verb, topics, changeOptions)
      const names = 'names' in topics ? topics.names : ['clicks']
      return names.map((name) => ({
        mirrorTopicName: name,
        errorCode: name === 'clicks' ? null : 404,
        errorMessage: name === 'clicks' ? null : `no mirror ${name}`,
        partitions: name === 'clicks' ? [partition] : [],
      }))
    },
    async *verify(_linkName, _mirrorTopicName, signal) {
      if (options.verifyEvents) return yield* options.verifyEvents
      yield {
        kind: 'progress',
        partitionIndex: 0,
        fromOffset: 0n,
        offset: 1n,
        toOffset: hugeOffset,
        batches: 1,
        bytes: 70,
      }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      aborted.resolve()
    },
    close: async () => {},
  }
  const image = {
    offset: 1n,
    clusterId,
    topics: new Map([[topic.name, topic]]),
    topicsById: new Map(),
    linksById: new Map(),
  }
  const view = {
    logStartOffset: 0n,
    lastStableOffset: 1n,
    highWatermark: hugeOffset,
    logEndOffset: hugeOffset,
    leaderEpoch: 0,
  }
  return {
    calls,
    verifyAborted: aborted.promise,
    environment: {
      clock: nodeClock,
      logger: {
        debug() {},
        info() {},
        warn() {},
        error: (fields) => calls.push(['error', fields]),
        child: () => {
          throw new Error('not used')
        },
      },
    },
    metadata: { image: image as unknown as MetadataImage } as HttpParts['metadata'],
    topics: {
      list: () => [],
      findById: () => ({ image: topic, isReadOnly: false, partitions: [{ partitionIndex: 0, log: {} }] }),
    } as unknown as HttpParts['topics'],
    logs: { view: () => view, sizeBytes: () => 70 } as unknown as HttpParts['logs'],
    links,
    memory: new MemoryBudget(),
    metrics: new BrokerMetrics(),
    groupCoordinators: { brokerOf: () => 1 },
    kafka: { ask: () => Promise.reject(new Error('not used')) },
    committedOffsets: () => Promise.resolve([]),
    loads: () => [{ nodeId: 1, connectionCount: 2, groups: [] }],
    control: {
      list: () => [{ nodeId: 1, host: '127.0.0.1', port: 9092, rack: null, isAlive: true }],
      takeDown: async (...args) => void calls.push(['takeDown', ...args]),
      bringUp: async (...args) => void calls.push(['bringUp', ...args]),
    },
    endpoints: () => [{ nodeId: 1, host: '127.0.0.1', port: 9092 }],
  }
}
