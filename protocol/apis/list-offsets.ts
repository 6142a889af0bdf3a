import { array, defineApi, int16, int32, int64, int8, string } from '../schema.ts'

/**
 * Finds offsets by timestamp, and the ends of a log.
 * Spec: Kafka `ListOffsetsRequest.json`, `ListOffsetsResponse.json`.
 */
export const ListOffsets = defineApi({
  name: 'ListOffsets',
  key: 2,
  versions: '1-11',
  flexible: '6+',
  request: {
    replicaId: int32('Node id of the asking replica, -1 for a consumer.'),
    isolationLevel: int8('0 reads everything up to the high watermark, 1 only what transactions have decided.', {
      versions: '2+',
    }),
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        currentLeaderEpoch: int32(
          'Leader epoch the client believes in, -1 to skip the check; a stale or unknown one is an error.',
          { versions: '4+', default: -1, ignorable: true },
        ),
        timestamp: int64(
          'Milliseconds since 1970; -1 end, -2 start, -3 highest time, -4 local start, -5 last tiered, -6 not tiered.',
        ),
      }),
    }),
    timeoutMs: int32('How long look-ups in tiered storage may take, in milliseconds.', {
      versions: '10+',
      ignorable: true,
    }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '2+',
      ignorable: true,
    }),
    topics: array('One entry per topic.', {
      name: string('Topic name.'),
      partitions: array('One entry per partition.', {
        partitionIndex: int32('Partition index.'),
        errorCode: int16('Error code, 0 for success.'),
        timestamp: int64('Timestamp of the found record in milliseconds since 1970, -1 where none was found.', {
          default: -1n,
        }),
        offset: int64('Found offset, -1 where there is none.', { default: -1n }),
        leaderEpoch: int32('Leader epoch of the record at that offset, -1 where unknown.', {
          versions: '4+',
          default: -1,
        }),
      }),
    }),
  },
})
