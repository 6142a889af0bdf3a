import { array, defineApi, int16, int32, int64, int8, records, string, struct, uuid } from '../schema.ts'

/**
 * Reads record batches from partitions, waiting for data where asked to.
 * Spec: Kafka `FetchRequest.json`, `FetchResponse.json`.
 */
export const Fetch = defineApi({
  name: 'Fetch',
  key: 1,
  versions: '4-18',
  flexible: '12+',
  request: {
    clusterId: string('Cluster id that the fetching replica expects, or null: then nothing is checked.', {
      versions: '12+',
      nullable: '12+',
      default: null,
      ignorable: true,
      tag: 0,
    }),
    replicaId: int32('Node id of the fetching replica, -1 for a consumer.', { versions: '4-14', default: -1 }),
    replicaState: struct(
      'Who fetches, where that is a replica (KIP-903).',
      {
        replicaId: int32('Node id of the fetching replica, -1 for a consumer.', { default: -1 }),
        replicaEpoch: int64('Broker epoch of the fetching replica, -1 where unknown.', { default: -1n }),
      },
      { versions: '15+', tag: 1 },
    ),
    maxWaitMs: int32('How long to wait for `minBytes`, in milliseconds.'),
    minBytes: int32('Answer as soon as this many bytes are there.'),
    maxBytes: int32('Limit on the bytes of the answer; one batch may exceed it (KIP-74).', {
      default: 2147483647,
      ignorable: true,
    }),
    isolationLevel: int8('0 reads everything up to the high watermark, 1 only what transactions have decided.', {
      default: 0,
      ignorable: true,
    }),
    sessionId: int32('Fetch session id, 0 to open one or to do without.', {
      versions: '7+',
      default: 0,
      ignorable: true,
    }),
    sessionEpoch: int32('Number of the request in its session; 0 opens one, -1 closes it or does without (KIP-227).', {
      versions: '7+',
      default: -1,
      ignorable: true,
    }),
    topics: array('Topics to read; within a session only those that are new or changed.', {
      topic: string('Topic name.', { versions: '4-12', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '13+', ignorable: true }),
      partitions: array('Partitions to read.', {
        partition: int32('Partition index.'),
        currentLeaderEpoch: int32(
          'Leader epoch the client believes in, -1 to skip the check; a stale or unknown one is an error.',
          { versions: '9+', default: -1, ignorable: true },
        ),
        fetchOffset: int64('Offset to read from.'),
        lastFetchedEpoch: int32('Leader epoch of the last record already held, -1 where there is none (KIP-595).', {
          versions: '12+',
          default: -1,
        }),
        logStartOffset: int64('The earliest offset the fetching replica has; consumers send -1.', {
          versions: '5+',
          default: -1n,
          ignorable: true,
        }),
        partitionMaxBytes: int32('Limit on the bytes of this partition; one batch may exceed it.'),
        replicaDirectoryId: uuid('Log directory of the fetching replica.', {
          versions: '17+',
          ignorable: true,
          tag: 0,
        }),
        highWatermark: int64(
          'High watermark that the fetching replica knows, -1 for none; the highest int64 means not supported.',
          { versions: '18+', default: 9223372036854775807n, ignorable: true, tag: 1 },
        ),
      }),
    }),
    forgottenTopicsData: array(
      'What the session no longer reads.',
      {
        topic: string('Topic name.', { versions: '7-12', ignorable: true }),
        topicId: uuid('Topic id.', { versions: '13+', ignorable: true }),
        partitions: array('Partitions to drop from the session.', 'int32'),
      },
      { versions: '7+' },
    ),
    rackId: string("Rack of the consumer, or ''.", { versions: '11+', default: '', ignorable: true }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    errorCode: int16('Error code for the whole answer (session, authorisation), 0 for success.', {
      versions: '7+',
      ignorable: true,
    }),
    sessionId: int32('Fetch session id, 0 outside a session.', { versions: '7+', default: 0 }),
    responses: array('One entry per topic.', {
      topic: string('Topic name.', { versions: '4-12', ignorable: true }),
      topicId: uuid('Topic id.', { versions: '13+', ignorable: true }),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code of the partition, 0 for success.'),
        highWatermark: int64('High watermark.'),
        lastStableOffset: int64('First offset whose transaction is still undecided, -1 where unknown.', {
          default: -1n,
          ignorable: true,
        }),
        logStartOffset: int64('Earliest readable offset, -1 where unknown.', {
          versions: '5+',
          default: -1n,
          ignorable: true,
        }),
        divergingEpoch: struct(
          'Where the log of the client parts from this one: it must truncate to there.',
          {
            epoch: int32('Highest leader epoch both logs have.', { default: -1 }),
            endOffset: int64('Offset behind the last record of that epoch.', { default: -1n }),
          },
          { versions: '12+', tag: 0 },
        ),
        currentLeader: struct(
          'Who leads the partition now, so that the client need not ask.',
          {
            leaderId: int32('Node id of the leader, -1 where there is none.', { default: -1 }),
            leaderEpoch: int32('Leader epoch, -1 where unknown.', { default: -1 }),
          },
          { versions: '12+', tag: 1 },
        ),
        snapshotId: struct(
          'The snapshot to read instead, where the offset is below the log start.',
          {
            endOffset: int64('Offset behind the last record in the snapshot.', { default: -1n }),
            epoch: int32('Leader epoch of the snapshot.', { default: -1 }),
          },
          { versions: '12+', tag: 2 },
        ),
        abortedTransactions: array(
          'Aborted transactions in the bytes that follow, or null without `isolationLevel` 1.',
          {
            producerId: int64('Producer of the aborted transaction.'),
            firstOffset: int64('First offset of the aborted transaction.'),
          },
          { nullable: '4+', ignorable: true },
        ),
        preferredReadReplica: int32('Node id to read from next time, -1 for the leader.', {
          versions: '11+',
          default: -1,
        }),
        records: records('Whole record batches; the first may begin before the fetch offset.', { nullable: '4+' }),
      }),
    }),
    nodeEndpoints: array(
      'Addresses of the leaders that `currentLeader` names.',
      {
        nodeId: int32('Node id.', { mapKey: true }),
        host: string('Host name or address to connect to.'),
        port: int32('Port to connect to.'),
        rack: string('Rack of the node, or null.', { nullable: '16+', default: null }),
      },
      { versions: '16+', tag: 0 },
    ),
  },
})
