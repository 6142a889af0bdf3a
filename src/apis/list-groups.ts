import { ListGroups } from '../../protocol/apis/list-groups.ts'
import { defineHandler } from './handler.ts'

/** Lists the groups that this broker coordinates, by state and type where asked for. */
export const listGroups = defineHandler({
  api: ListGroups,
  versions: '0-5',

  handle(request, context) {
    return { throttleTimeMs: 0, errorCode: 0, groups: context.broker.groups.listGroups(request) }
  },
})
