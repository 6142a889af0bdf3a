import { ListPartitionReassignments } from '../../protocol/apis/list-partition-reassignments.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { defineHandler } from './handler.ts'

/**
 * Lists running reassignments. There never are any: brokers share one copy of each partition, so none has to be moved.
 */
export const listPartitionReassignments = defineHandler({
  api: ListPartitionReassignments,
  versions: '0-0',

  handle(_request, context) {
    context.authorize('DESCRIBE', 'CLUSTER', 'kafka-cluster')
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, errorMessage: null, topics: [] }
  },
})
