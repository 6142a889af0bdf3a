import { DescribeQuorum } from '../../protocol/apis/describe-quorum.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { zeroUuid, type RequestOf, type ResponseInput } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { defineHandler, type Context } from './handler.ts'

type Asked = RequestOf<typeof DescribeQuorum>['topics'][number]
type PartitionResponse = ResponseInput<typeof DescribeQuorum>['topics'][number]['partitions'][number]

const metadataTopicName = '__cluster_metadata'
const nodesFromVersion = 2

/** Describes the quorum of the metadata log: the first broker leads and is its only voter, the others observe. */
export const describeQuorum = defineHandler({
  api: DescribeQuorum,
  versions: '0-2',

  handle({ topics }, context) {
    context.authorize('DESCRIBE', 'CLUSTER', 'kafka-cluster')
    const isAsked = topics.length === 1 && topics[0]!.partitions.length === 1
    if (!isAsked || !isMetadataLog(topics[0]!))
      return { errorCode: errorCodes.NONE, errorMessage: null, topics: topics.map(unknown), nodes: [] }
    const [controller] = context.broker.endpoints()
    const { nodeId, host, port } = controller!
    return {
      errorCode: errorCodes.NONE,
      errorMessage: null,
      topics: [{ topicName: metadataTopicName, partitions: [describe(context)] }],
      nodes:
        context.apiVersion >= nodesFromVersion ? [{ nodeId, listeners: [{ name: 'CONTROLLER', host, port }] }] : [],
    }
  },

  fail(_request, { errorCode, message }) {
    return { errorCode, errorMessage: message, topics: [], nodes: [] }
  },
})

function isMetadataLog({ topicName, partitions }: Asked): boolean {
  return topicName === metadataTopicName && partitions[0]!.partitionIndex === 0
}

function unknown({ topicName, partitions }: Asked) {
  const { errorCode, message } = new KafkaError('UNKNOWN_TOPIC_OR_PARTITION')
  return {
    topicName,
    partitions: partitions.map(({ partitionIndex }) => ({
      partitionIndex,
      errorCode,
      errorMessage: message,
      leaderId: 0,
      leaderEpoch: 0,
      highWatermark: 0n,
      currentVoters: [],
      observers: [],
    })),
  }
}

/** Every broker of this process reads the one log, so all of them are caught up at any time. */
function describe({ broker }: Context): PartitionResponse {
  const highWatermark = broker.metadata.image.offset + 1n
  const nowMs = BigInt(broker.environment.clock.nowMs())
  const [controllerId, ...others] = broker.endpoints().map(({ nodeId }) => nodeId)
  const replicaOf = (replicaId: number) => ({
    replicaId,
    replicaDirectoryId: zeroUuid,
    logEndOffset: highWatermark,
    lastFetchTimestamp: nowMs,
    lastCaughtUpTimestamp: nowMs,
  })
  return {
    partitionIndex: 0,
    errorCode: errorCodes.NONE,
    errorMessage: null,
    leaderId: controllerId!,
    leaderEpoch: 1,
    highWatermark,
    currentVoters: [replicaOf(controllerId!)],
    observers: others.map(replicaOf),
  }
}
