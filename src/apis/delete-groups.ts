import { DeleteGroups } from '../../protocol/apis/delete-groups.ts'
import type { ResponseInput } from '../../protocol/schema.ts'
import { codeAndMessage } from './group-client.ts'
import { defineHandler, type Context } from './handler.ts'

type Result = ResponseInput<typeof DeleteGroups>['results'][number]

/** Deletes groups without members, and their offsets. */
export const deleteGroups = defineHandler({
  api: DeleteGroups,
  versions: '0-3',

  async handle({ groupsNames }, context) {
    const groupIds = [...new Set(groupsNames)]
    return { throttleTimeMs: 0, results: await Promise.all(groupIds.map((groupId) => remove(groupId, context))) }
  },

  fail({ groupsNames }, error) {
    return { throttleTimeMs: 0, results: groupsNames.map((groupId) => ({ groupId, ...codeAndMessage(error) })) }
  },
})

async function remove(groupId: string, context: Context): Promise<Result> {
  try {
    context.authorize('DELETE', 'GROUP', groupId)
    await context.broker.groups.deleteGroup(groupId)
    return { groupId, errorCode: 0 }
  } catch (error) {
    return { groupId, ...codeAndMessage(error) }
  }
}
