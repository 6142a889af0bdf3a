import { SyncGroup } from '../../protocol/apis/sync-group.ts'
import { KafkaError } from '../errors.ts'
import { syncFailure } from '../groups/group-draft.ts'
import { parked } from './group-client.ts'
import { defineHandler } from './handler.ts'

/** From this version on a member says which protocol it means (KIP-559). */
const protocolFromVersion = 5

/** Hands the assignment of the leader to the members of a classic group; followers wait for it. */
export const syncGroup = defineHandler({
  api: SyncGroup,
  versions: '0-5',

  async handle(request, context) {
    context.authorize('READ', 'GROUP', request.groupId)
    const { protocolType, protocolName } = request
    if (context.apiVersion >= protocolFromVersion && (protocolType === null || protocolName === null))
      throw new KafkaError('INCONSISTENT_GROUP_PROTOCOL')
    const answer = context.broker.groups.syncGroup(request, () => context.admitNext())
    return parked(answer, context.signal)
  },

  fail(_request, { errorName }) {
    return syncFailure(errorName)
  },
})
