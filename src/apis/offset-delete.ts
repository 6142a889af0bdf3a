import { OffsetDelete } from '../../protocol/apis/offset-delete.ts'
import type { ResponseInput } from '../../protocol/schema.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { defineHandler } from './handler.ts'

type ResponseTopic = ResponseInput<typeof OffsetDelete>['topics'][number]

/** Deletes committed offsets of topics that the group does not read. */
export const offsetDelete = defineHandler({
  api: OffsetDelete,
  versions: '0-0',

  async handle({ groupId, topics }, context) {
    context.authorize('DELETE', 'GROUP', groupId)
    const refused: ResponseTopic[] = []
    const known = topics.map(({ name, partitions }) => {
      const count = context.broker.topics.find(name)?.partitions.length ?? 0
      const isKnown = ({ partitionIndex }: { partitionIndex: number }) => partitionIndex >= 0 && partitionIndex < count
      const unknown = partitions.filter((partition) => !isKnown(partition))
      const errorCode = errorCodes.UNKNOWN_TOPIC_OR_PARTITION
      if (unknown.length > 0)
        refused.push({ name, partitions: unknown.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) })
      return { name, partitions: partitions.filter(isKnown) }
    })
    const asked = known.filter(({ partitions }) => partitions.length > 0)
    const deleted = await context.broker.groups.deleteOffsets(groupId, asked)
    return { errorCode: 0, throttleTimeMs: 0, topics: merged(deleted, refused) }
  },
})

/** A topic comes once, also where some of its partitions were refused. */
function merged(deleted: readonly ResponseTopic[], refused: readonly ResponseTopic[]): ResponseTopic[] {
  const byName = new Map(refused.map((topic) => [topic.name, topic]))
  for (const topic of deleted) {
    const partitions = [...(byName.get(topic.name)?.partitions ?? []), ...topic.partitions]
    byName.set(topic.name, { name: topic.name, partitions })
  }
  return [...byName.values()]
}
