/**
 * What Metadata, DescribeCluster and DescribeGroups say about the rights of a client, as bit sets of Kafka's operation
 * codes.
 */

/** Not asked for. */
export const operationsNotAsked = -2_147_483_648

const operationCodes = {
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
} as const

function bitsOf(...operations: readonly (keyof typeof operationCodes)[]): number {
  return operations.reduce((bits, operation) => bits | (1 << operationCodes[operation]), 0)
}

/** Without an authorizer everything is allowed that makes sense for the resource. */
export const allTopicOperations = bitsOf(
  'READ',
  'WRITE',
  'CREATE',
  'DELETE',
  'ALTER',
  'DESCRIBE',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
)
export const allClusterOperations = bitsOf(
  'CREATE',
  'ALTER',
  'DESCRIBE',
  'CLUSTER_ACTION',
  'DESCRIBE_CONFIGS',
  'ALTER_CONFIGS',
  'IDEMPOTENT_WRITE',
)
export const allGroupOperations = bitsOf('READ', 'DELETE', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS')
