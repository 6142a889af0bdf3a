/** What the scenarios of groups and of their offsets share. */
import { DescribeGroups } from '../../../protocol/apis/describe-groups.ts'
import { FindCoordinator } from '../../../protocol/apis/find-coordinator.ts'
import { OffsetCommit } from '../../../protocol/apis/offset-commit.ts'
import { OffsetFetch } from '../../../protocol/apis/offset-fetch.ts'
import { zeroUuid, type RequestInput, type Uuid } from '../../../protocol/schema.ts'
import type { Peer } from '../peer.ts'

/**
 * Waits until every partition of `__consumer_offsets` is served: Kafka creates the topic when someone asks for a
 * coordinator.
 */
export async function ensureCoordinator(peer: Peer): Promise<void> {
  const groupIds = ['g', 'h', 'i', 'j'] // one for each of four partitions
  await peer.prepareUntil(FindCoordinator, 4, {
    request: { key: '', keyType: 0, coordinatorKeys: groupIds },
    isGood: ({ coordinators }) => coordinators.every(({ errorCode }) => errorCode === 0),
  })
  const groups = groupIds.map((groupId) => ({ groupId, topics: [] }))
  await peer.prepareUntil(OffsetFetch, 8, {
    request: { groupId: '', topics: [], groups },
    isGood: (answer) => answer.groups.every(({ errorCode }) => errorCode === 0),
  })
}

export async function describe(peer: Peer, label: string, ...groups: string[]): Promise<void> {
  await peer.ask(label, DescribeGroups, 5, { groups, includeAuthorizedOperations: false })
}

type CommitRequest = RequestInput<typeof OffsetCommit>
type CommitPartition = CommitRequest['topics'][number]['partitions'][number]

export interface CommitOptions extends Partial<Omit<CommitRequest, 'topics'>> {
  readonly groupId: string
  readonly topic?: string
  readonly topicId?: Uuid
  readonly partitions?: readonly Partial<CommitPartition>[]
}

export function commitRequest({
  topic = '',
  topicId = zeroUuid,
  partitions = [{}],
  ...options
}: CommitOptions): CommitRequest {
  const filled = partitions.map((partition) => ({
    partitionIndex: 0,
    committedOffset: 7n,
    committedMetadata: 'm',
    ...partition,
  }))
  return { memberId: '', ...options, topics: [{ name: topic, topicId, partitions: filled }] }
}

/** Commits from outside a group. */
export async function commit(peer: Peer, options: CommitOptions): Promise<void> {
  const { topics } = await peer.prepare(OffsetCommit, 9, commitRequest(options))
  const code = topics[0]?.partitions[0]?.errorCode
  if (code !== 0) throw new Error(`commit: ${code}`)
}
