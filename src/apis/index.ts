/** What this broker serves, in the order of the keys. ApiVersions advertises exactly this. */
import { apiVersionsHandler } from './api-versions.ts'
import { createTopics } from './create-topics.ts'
import { deleteTopics } from './delete-topics.ts'
import { describeCluster } from './describe-cluster.ts'
import { describeConfigs } from './describe-configs.ts'
import { describeTopicPartitions } from './describe-topic-partitions.ts'
import { fetch } from './fetch.ts'
import type { Handler } from './handler.ts'
import { initProducerId } from './init-producer-id.ts'
import { listOffsets } from './list-offsets.ts'
import { metadata } from './metadata.ts'
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { produce } from './produce.ts'

export const apiVersions = apiVersionsHandler(() => handlers)

export const handlers: readonly Handler[] = [
  produce, // 0
  fetch, // 1
  listOffsets, // 2
  metadata, // 3
  apiVersions, // 18
  createTopics, // 19
  deleteTopics, // 20
  initProducerId, // 22
  offsetForLeaderEpoch, // 23
  describeConfigs, // 32
  describeCluster, // 60
  describeTopicPartitions, // 75
]
