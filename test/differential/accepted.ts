/**
 * Where answers differ from Kafka's although nothing is wrong. `docs/differences.md` tells users of those that they can
 * notice.
 */
import type { Accepted, Difference } from './compare.ts'

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isLabelled =
  (...labels: readonly string[]) =>
  ({ label }: Difference): boolean =>
    labels.some((start) => label.startsWith(start))

export const accepted: readonly Accepted[] = [
  {
    api: /./,
    path: /(?:^|\.)(?:errorMessage|batchIndexErrorMessage|topicErrorMessage)$/,
    why: 'messages are in words of our own, and are also there where Kafka sends none',
    when: ({ kafka, ours }) => isText(ours) && (kafka === null || typeof kafka === 'string'),
  },
  {
    api: /./,
    path: /(?:^|\.)errorMessage$/,
    why: 'no message is null, which some answers of Kafka write as an empty text',
    when: ({ kafka, ours }) => ours === null && kafka === '',
  },
  {
    api: 'Produce',
    path: /^$/,
    why: 'null records make Kafka fail without an answer; a client would wait for its timeout and try again for ever',
    when: isLabelled('null records'),
  },
  {
    api: 'Produce',
    path: /errorCode|logStartOffset/,
    why: 'Kafka answers UNKNOWN_SERVER_ERROR to a codec that does not exist; UNSUPPORTED_COMPRESSION_TYPE says what is wrong',
    when: isLabelled('an unknown codec'),
  },
  {
    api: /Produce|Fetch/,
    path: /errorCode|baseOffset|highWatermark|lastStableOffset|records/,
    why: 'records are not decompressed to append them: one whose checksum holds is kept as it came',
    when: isLabelled('gzip that is none'),
  },
  {
    api: 'Fetch',
    path: /maxTimestamp|crc/,
    why: 'the largest timestamp is the one that the producer wrote into the header: records are not read to append them',
    when: isLabelled('a maximum timestamp that is none of its records'),
  },
  {
    api: 'ApiVersions',
    path: /^apiKeys\[\d+\]$/,
    why: 'APIs that are not served are not listed',
    when: ({ ours }) => ours === undefined,
  },
  {
    api: 'ApiVersions',
    path: /^apiKeys\[\d+\]\.maxVersion$/,
    why: 'versions that came with Kafka 4.4 are served already',
    when: ({ kafka, ours }) => Number(ours) > Number(kafka),
  },
  {
    api: 'ApiVersions',
    path: /^(?:supportedFeatures|finalizedFeatures)(?:\[|$)/,
    why: 'features stand for what is served, and there are no share groups, streams groups, ELR and controllers here',
  },
  {
    api: 'ApiVersions',
    path: /^finalizedFeaturesEpoch$/,
    why: 'the epoch is the offset of a metadata log, which each cluster writes its own records into',
  },
  {
    api: 'Metadata',
    path: /^topics/,
    why: 'a topic that is created is in the answer; Kafka answers an error first',
    when: isLabelled('created', 'a colliding name'),
  },
  {
    api: 'DescribeTopicPartitions',
    path: /errorCode|topicAuthorizedOperations/,
    why: 'Kafka fails inside itself, UNKNOWN_SERVER_ERROR, over a name that no topic can have',
    when: isLabelled('an invalid name'),
  },
  {
    api: /Fetch|ListOffsets/,
    path: /./,
    why: 'Kafka fails inside itself, UNKNOWN_SERVER_ERROR, over numbers that mean nothing; here they are taken for the default',
    when: isLabelled('an isolation level that is none', 'isolation level 5', 'negative limits'),
  },
  {
    api: 'OffsetForLeaderEpoch',
    path: /leaderEpoch|endOffset/,
    why: 'an epoch below 0 is unknown; Kafka takes any but -1 for one before the first',
    when: isLabelled('a negative epoch'),
  },
  {
    api: 'ListOffsets',
    path: /timestamp|offset|leaderEpoch/,
    why: 'the largest timestamp is looked for above the log start; Kafka also names records that were deleted',
    when: isLabelled('the first three records deleted: -3', 'all deleted: -3'),
  },
  {
    api: 'JoinGroup',
    path: /errorCode|memberId/,
    why: 'Kafka fails inside itself, UNKNOWN_SERVER_ERROR, over a static member with an id that was promised to a dynamic one',
    when: isLabelled('a static member with a promised id'),
  },
  {
    api: 'Metadata',
    path: /./,
    why: 'Kafka fails inside itself, UNKNOWN_SERVER_ERROR, over a topic with neither id nor name',
    when: isLabelled('neither id nor name'),
  },
  {
    api: /CreateTopics|DescribeConfigs/,
    path: /configs\[[^\]]+\]$/,
    why: 'configs of Kafka 4.4, our own, and those that Kafka keeps to itself are listed too',
    when: ({ kafka }) => kafka === undefined,
  },
  {
    api: /CreateTopics|DescribeConfigs/,
    path: /configs\[min\.insync\.replicas\]/,
    why: 'eligible leader replicas, a feature of clusters with replicas, makes Kafka set this config for the whole cluster',
  },
  {
    api: 'CreateTopics',
    path: /topics\[create_collide\]/,
    why: 'names that differ in dots and underscores only are refused; Kafka overlooks it where both are in one request',
    when: isLabelled('two that collide'),
  },
  {
    api: 'DescribeLogDirs',
    path: /totalBytes|usableBytes/,
    why: 'the size of the volume is not known: -1',
  },
  {
    api: 'DescribeQuorum',
    path: /highWatermark|logEndOffset|leaderEpoch|nodes/,
    why: 'each cluster writes its own records into its metadata log; here it has no listener of its own',
  },
  {
    api: 'DescribeConfigs',
    path: /configs\[(?:advertised\.listeners|listeners|log\.dirs?|controller\.quorum\.voters)\]/,
    why: 'each broker has its own addresses and folders',
  },
  {
    api: 'DescribeConfigs',
    path: /configs\[(?:node\.id|group\.initial\.rebalance\.delay\.ms)\]\.synonyms/,
    why: 'defaults that differ on purpose',
  },
  {
    api: 'IncrementalAlterConfigs',
    path: /errorCode/,
    why: 'Kafka fails inside itself, UNKNOWN_SERVER_ERROR, over an operation that does not exist',
    when: isLabelled('an unknown operation', 'a negative operation'),
  },
  {
    api: 'IncrementalAlterConfigs',
    path: /errorCode|errorMessage/,
    why: 'the loggers of Kafka are named after its classes; here there is one, root',
    when: isLabelled('a logger'),
  },
  {
    api: 'DescribeConfigs',
    path: /documentation$/,
    why: 'texts are our own where a config acts, and null where it does nothing here',
  },
]
