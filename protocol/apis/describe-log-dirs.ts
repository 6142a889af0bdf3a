import { array, bool, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Describes log directories and the size of each partition in them.
 * Spec: Kafka `DescribeLogDirsRequest.json`, `DescribeLogDirsResponse.json`.
 */
export const DescribeLogDirs = defineApi({
  name: 'DescribeLogDirs',
  key: 35,
  versions: '1-5',
  flexible: '2+',
  request: {
    topics: array(
      'Topics to describe, or null for all.',
      { topic: string('Topic name.', { mapKey: true }), partitions: array('Partition indexes.', 'int32') },
      { nullable: '1+' },
    ),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.', { versions: '3+', ignorable: true }),
    results: array('One entry per log directory.', {
      errorCode: int16('Error code of the log directory, 0 for success.'),
      logDir: string('Path of the log directory.'),
      topics: array('One entry per topic.', {
        name: string('Topic name.'),
        partitions: array('One entry per partition.', {
          partitionIndex: int32('Partition index.'),
          partitionSize: int64('Size of the segments of the partition, in bytes.'),
          offsetLag: int64(
            'Offsets this copy is behind: behind the high watermark, or as a future copy behind the current one.',
          ),
          isFutureKey: bool('Whether this copy will replace the current one, in another directory.'),
        }),
      }),
      totalBytes: int64('Size of the volume in bytes, -1 where unknown.', {
        versions: '4+',
        default: -1n,
        ignorable: true,
      }),
      usableBytes: int64('Free bytes of the volume, -1 where unknown.', {
        versions: '4+',
        default: -1n,
        ignorable: true,
      }),
      isCordoned: bool('Whether the directory takes no new partitions.', {
        versions: '5+',
        default: false,
        ignorable: true,
      }),
    }),
  },
})
