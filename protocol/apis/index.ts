/**
 * Every declared API, in the order of its key.
 */
import type { Api } from '../schema.ts'
import { Produce } from './produce.ts'
import { Fetch } from './fetch.ts'
import { ListOffsets } from './list-offsets.ts'
import { Metadata } from './metadata.ts'
import { OffsetCommit } from './offset-commit.ts'
import { OffsetFetch } from './offset-fetch.ts'
import { FindCoordinator } from './find-coordinator.ts'
import { ApiVersions } from './api-versions.ts'
import { CreateTopics } from './create-topics.ts'
import { DeleteTopics } from './delete-topics.ts'
import { InitProducerId } from './init-producer-id.ts'
import { OffsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { DescribeConfigs } from './describe-configs.ts'
import { DescribeCluster } from './describe-cluster.ts'
import { DescribeTopicPartitions } from './describe-topic-partitions.ts'

export {
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  InitProducerId,
  OffsetForLeaderEpoch,
  DescribeConfigs,
  DescribeCluster,
  DescribeTopicPartitions,
}

export const apis: readonly Api[] = [
  Produce,
  Fetch,
  ListOffsets,
  Metadata,
  OffsetCommit,
  OffsetFetch,
  FindCoordinator,
  ApiVersions,
  CreateTopics,
  DeleteTopics,
  InitProducerId,
  OffsetForLeaderEpoch,
  DescribeConfigs,
  DescribeCluster,
  DescribeTopicPartitions,
]

const byKey = new Map(apis.map((api) => [api.key, api]))

/** The API with this key, or undefined where it is not declared. */
export function apiByKey(key: number): Api | undefined {
  return byKey.get(key)
}
