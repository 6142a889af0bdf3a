import { array, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Finds the broker that coordinates a group or a transactional id.
 * Spec: Kafka `FindCoordinatorRequest.json`, `FindCoordinatorResponse.json`.
 */
export const FindCoordinator = defineApi({
  name: 'FindCoordinator',
  key: 10,
  versions: '0-6',
  flexible: '3+',
  request: {
    key: string('Group id or transactional id.', { versions: '0-3' }),
    keyType: int8('0 group, 1 transactional id, 2 share group partition.', { versions: '1+', default: 0 }),
    coordinatorKeys: array('Group ids or transactional ids.', 'string', { versions: '4+' }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    errorCode: int16('Error code, 0 for success.', { versions: '0-3' }),
    errorMessage: string('What went wrong, or null.', { versions: '1-3', nullable: '1-3', ignorable: true }),
    nodeId: int32('Node id of the coordinator, or -1 with an error.', { versions: '0-3' }),
    host: string('Host name or address to connect to.', { versions: '0-3' }),
    port: int32('Port to connect to.', { versions: '0-3' }),
    coordinators: array(
      'One entry per key.',
      {
        key: string('Group id or transactional id.'),
        nodeId: int32('Node id of the coordinator, or -1 with an error.'),
        host: string('Host name or address to connect to.'),
        port: int32('Port to connect to.'),
        errorCode: int16('Error code, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '4+', ignorable: true }),
      },
      { versions: '4+' },
    ),
  },
})
