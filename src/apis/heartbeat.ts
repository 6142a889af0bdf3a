import { Heartbeat } from '../../protocol/apis/heartbeat.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { defineHandler } from './handler.ts'

/** Keeps a member of a classic group alive, and tells it to join again when the group rebalances. */
export const heartbeat = defineHandler({
  api: Heartbeat,
  versions: '0-4',

  async handle(request, context) {
    context.authorize('READ', 'GROUP', request.groupId)
    const error = await context.broker.groups.heartbeat(request)
    return { throttleTimeMs: 0, errorCode: errorCodes[error] }
  },
})
