import { DescribeLogDirs } from '../../protocol/apis/describe-log-dirs.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { Topic } from '../topics/topics.ts'
import { defineHandler, type BrokerParts } from './handler.ts'

/** Describes the one log directory. The size of its volume is not known here: -1. */
export const describeLogDirs = defineHandler({
  api: DescribeLogDirs,
  versions: '1-5',

  handle(request, context) {
    const { broker } = context
    context.authorize('DESCRIBE', 'CLUSTER', 'kafka-cluster')
    const asked = request.topics && new Map(request.topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
    const topics = [...broker.topics.list()]
      .filter(({ image }) => !asked || asked.has(image.name))
      .map((topic) => sizesOf(topic, asked?.get(topic.image.name), broker))
      .filter(({ partitions }) => partitions.length > 0)
    const directory = { errorCode: errorCodes.NONE, logDir: broker.environment.disk.root, topics }
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, results: [directory] }
  },

  fail(_request, { errorCode }) {
    return { throttleTimeMs: 0, errorCode, results: [] }
  },
})

function sizesOf(
  { image, partitions }: Topic,
  indexes: ReadonlySet<number> | undefined,
  { logs, nodeId }: BrokerParts,
) {
  return {
    name: image.name,
    partitions: partitions
      .filter(({ partitionIndex }) => !indexes || indexes.has(partitionIndex))
      .filter(({ partitionIndex }) => image.partitions[partitionIndex]!.replicas.includes(nodeId))
      .map(({ partitionIndex, log }) => ({
        partitionIndex,
        partitionSize: BigInt(logs.sizeBytes(log)),
        offsetLag: 0n,
        isFutureKey: false,
      })),
  }
}
