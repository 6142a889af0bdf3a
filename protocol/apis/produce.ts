import { array, defineApi, int16, int32, int64, records, string, struct, uuid } from '../schema.ts'

/** Appends record batches to partitions. Spec: Kafka `ProduceRequest.json`, `ProduceResponse.json`. */
export const Produce = defineApi({
  name: 'Produce',
  key: 0,
  versions: '3-13',
  flexible: '9+',
  request: {
    transactionalId: string('Transactional id, or null for a producer without transactions.', {
      nullable: '3+',
      default: null,
    }),
    acks: int16(
      'Who must hold the records before the answer: 0 nobody and no answer, 1 the leader, -1 all in-sync replicas.',
    ),
    timeoutMs: int32('How long the broker may take, in milliseconds.'),
    topicData: array('One entry per topic to write to.', {
      name: string('Topic name.', { versions: '3-12', ignorable: true, mapKey: true }),
      topicId: uuid('Topic id.', { versions: '13+', ignorable: true, mapKey: true }),
      partitionData: array('One entry per partition to write to.', {
        index: int32('Partition index.'),
        records: records('The record batches to append, or null.', { nullable: '3+' }),
      }),
    }),
  },
  response: {
    responses: array('One entry per topic.', {
      name: string('Topic name.', { versions: '3-12', ignorable: true, mapKey: true }),
      topicId: uuid('Topic id.', { versions: '13+', ignorable: true, mapKey: true }),
      partitionResponses: array('One entry per partition.', {
        index: int32('Partition index.'),
        errorCode: int16('Error code, 0 for success.'),
        baseOffset: int64('Offset that the first record got, -1 with an error.'),
        logAppendTimeMs: int64(
          'Append time in milliseconds since 1970 where the topic stamps records itself, else -1.',
          { default: -1n, ignorable: true },
        ),
        logStartOffset: int64('Earliest readable offset, -1 where unknown.', {
          versions: '5+',
          default: -1n,
          ignorable: true,
        }),
        recordErrors: array(
          'The records that made the broker refuse the batch.',
          {
            batchIndex: int32('Place of the record in its batch, from 0.'),
            batchIndexErrorMessage: string('What is wrong with the record, or null.', {
              nullable: '8+',
              default: null,
            }),
          },
          { versions: '8+', ignorable: true },
        ),
        errorMessage: string('What is wrong with the whole batch, or null.', {
          versions: '8+',
          nullable: '8+',
          default: null,
          ignorable: true,
        }),
        currentLeader: struct(
          'Who leads the partition now, so that the client need not ask.',
          {
            leaderId: int32('Node id of the leader, -1 where there is none.', { default: -1 }),
            leaderEpoch: int32('Leader epoch, -1 where unknown.', { default: -1 }),
          },
          { versions: '10+', tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { default: 0, ignorable: true }),
    nodeEndpoints: array(
      'Addresses of the leaders that `currentLeader` names.',
      {
        nodeId: int32('Node id.', { mapKey: true }),
        host: string('Host name or address to connect to.'),
        port: int32('Port to connect to.'),
        rack: string('Rack of the node, or null.', { nullable: '10+', default: null }),
      },
      { versions: '10+', tag: 0 },
    ),
  },
})
