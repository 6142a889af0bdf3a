/**
 * What a client can't do, each with its reason: reviewed like code. The matrix runs these scenarios all the same; one
 * that fails in another way than its row says fails the run, and so does one that passes.
 */
export interface Exclusion {
  readonly client: string
  /** The name of a scenario; `*` at the end stands for any ending. */
  readonly scenario: string
  readonly reason: string
  /** The name of the error that the driver answers; UNSUPPORTED if left out: the library has no way to do it. */
  readonly error?: string
}

export const exclusions: readonly Exclusion[] = [
  { client: 'kafkajs', scenario: 'group range', reason: 'its only assignor is round-robin' },
  { client: 'kafkajs', scenario: 'group sticky', reason: 'its only assignor is round-robin' },
  { client: 'kafkajs', scenario: 'group cooperative-sticky', reason: 'its only assignor is round-robin' },
  { client: 'kafkajs', scenario: 'static member', reason: 'it has no static members' },
  { client: 'platformatic', scenario: 'group range', reason: 'its assignors are round-robin and cooperative-sticky' },
  { client: 'platformatic', scenario: 'group sticky', reason: 'its assignors are round-robin and cooperative-sticky' },
  { client: 'confluent-kafka', scenario: 'group sticky', reason: 'librdkafka has no eager sticky assignor' },
  { client: 'aiokafka', scenario: 'group cooperative-sticky', reason: 'its assignors are all eager' },
  { client: 'aiokafka', scenario: 'admin deleteGroup', reason: 'its admin client deletes no groups' },
  { client: 'rdkafka', scenario: 'group sticky', reason: 'librdkafka has no eager sticky assignor' },
  { client: 'rskafka', scenario: 'idempotent produce', reason: 'it has no idempotent producer' },
  { client: 'rskafka', scenario: 'mirror refuses idempotent produce', reason: 'it has no idempotent producer' },
  { client: 'rskafka', scenario: 'group *', reason: 'it has no consumer groups' },
  { client: 'rskafka', scenario: 'static member', reason: 'it has no consumer groups' },
  { client: 'rskafka', scenario: 'admin createTopic', reason: 'it creates topics without configs only' },
  { client: 'rskafka', scenario: 'admin createPartitions', reason: 'it creates and deletes topics, no more' },
  { client: 'rskafka', scenario: 'admin describeConfigs', reason: 'it creates and deletes topics, no more' },
  { client: 'rskafka', scenario: 'admin alterConfig', reason: 'it creates and deletes topics, no more' },
  { client: 'rskafka', scenario: 'admin describeCluster', reason: 'it does not show the cluster' },
  { client: 'rskafka', scenario: 'admin listGroups', reason: 'it has no consumer groups' },
  { client: 'rskafka', scenario: 'admin describeGroup', reason: 'it has no consumer groups' },
  { client: 'rskafka', scenario: 'admin committed', reason: 'it has no consumer groups' },
  { client: 'rskafka', scenario: 'admin deleteGroup', reason: 'it has no consumer groups' },
]
