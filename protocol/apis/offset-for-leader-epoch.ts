import { array, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Tells where a leader epoch ended, so that a reader can detect a truncated log.
 * Spec: Kafka `OffsetForLeaderEpochRequest.json`, `OffsetForLeaderEpochResponse.json`.
 */
export const OffsetForLeaderEpoch = defineApi({
  name: 'OffsetForLeaderEpoch',
  key: 23,
  versions: '2-4',
  flexible: '4+',
  request: {
    replicaId: int32('Node id of the asking replica, -1 for a consumer.', {
      versions: '3+',
      default: -2,
      ignorable: true,
    }),
    topics: array('One entry per topic.', {
      topic: string('Topic name.', { mapKey: true }),
      partitions: array('One entry per partition.', {
        partition: int32('Partition index.'),
        currentLeaderEpoch: int32(
          'Leader epoch the client believes in, -1 to skip the check; a stale or unknown one is an error.',
          { default: -1, ignorable: true },
        ),
        leaderEpoch: int32('The leader epoch whose end is looked for.'),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    topics: array('One entry per topic.', {
      topic: string('Topic name.', { mapKey: true }),
      partitions: array('One entry per partition.', {
        errorCode: int16('Error code, 0 for success.'),
        partition: int32('Partition index.'),
        leaderEpoch: int32('The highest leader epoch that is not above the asked one, -1 where there is none.', {
          default: -1,
          ignorable: true,
        }),
        endOffset: int64('Offset behind the last record of that epoch, -1 where unknown.', { default: -1n }),
      }),
    }),
  },
})
