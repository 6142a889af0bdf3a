/** The records that build an image from nothing: what a snapshot holds. */
import { zeroUuid } from '../../protocol/schema.ts'
import {
  ConfigRecord,
  FeatureLevelRecord,
  PartitionRecord,
  ProducerIdsRecord,
  TopicRecord,
} from '../../protocol/state/metadata-records.ts'
import { metadataVersionFeature, metadataVersionLevel } from '../../protocol/state/metadata-version.ts'
import {
  ClusterIdentity,
  Link,
  LinkConfig,
  LinkFailure,
  Mirror,
  MirrorState,
  ProducerIdSpace,
  SealedSecret,
} from '../../protocol/state/mirror-records.ts'
import { resourceTypes } from './image.ts'
import { record, type LinkImage, type MetadataImage, type MetadataRecord, type TopicImage } from './metadata-store.ts'

/** The first record, which fixes the versions of the others. */
export function metadataVersionRecord(): MetadataRecord {
  return record(FeatureLevelRecord, { name: metadataVersionFeature, featureLevel: metadataVersionLevel })
}

/**
 * In an order in which each record finds what it names. Replaying them gives an equal image; the offset is not among
 * them. `nodeId` stands for whoever reserved producer ids, which an image does not keep.
 */
export function* recordsOfImage(image: MetadataImage, nodeId: number): Generator<MetadataRecord> {
  yield metadataVersionRecord()
  yield record(ClusterIdentity, { clusterId: image.clusterId })
  const high = Number(image.nextProducerId >> 32n)
  if (high > 0) yield record(ProducerIdSpace, { high })
  if (image.nextProducerId > 0n)
    yield record(ProducerIdsRecord, { brokerId: nodeId, nextProducerId: image.nextProducerId })
  const { broker, clientMetrics, group } = resourceTypes
  for (const [name, configs] of image.brokerConfigs) yield* recordsOfConfigs(broker, name, configs)
  for (const [name, configs] of image.clientMetricsConfigs) yield* recordsOfConfigs(clientMetrics, name, configs)
  for (const [name, configs] of image.groupConfigs) yield* recordsOfConfigs(group, name, configs)
  for (const link of image.links.values()) yield* recordsOfLink(link)
  for (const topic of image.topics.values()) yield* recordsOfTopic(topic)
}

function* recordsOfConfigs(
  resourceType: number,
  resourceName: string,
  configs: ReadonlyMap<string, string>,
): Generator<MetadataRecord> {
  for (const [name, value] of configs) yield record(ConfigRecord, { resourceType, resourceName, name, value })
}

function* recordsOfLink({
  linkId,
  name,
  sourceClusterId,
  configs,
  secrets,
  failure,
}: LinkImage): Generator<MetadataRecord> {
  yield record(Link, { linkId, name, sourceClusterId })
  for (const [secret, sealed] of secrets) yield record(SealedSecret, { linkId, name: secret, sealed })
  for (const [config, value] of configs) yield record(LinkConfig, { linkId, name: config, value })
  if (failure) yield record(LinkFailure, { linkId, ...failure })
}

function* recordsOfTopic({ name, topicId, partitions, configs, mirror }: TopicImage): Generator<MetadataRecord> {
  yield record(TopicRecord, { name, topicId })
  for (const { partitionIndex, leader, leaderEpoch, partitionEpoch, replicas, isr } of partitions)
    yield record(PartitionRecord, {
      partitionId: partitionIndex,
      topicId,
      replicas,
      isr,
      removingReplicas: [],
      addingReplicas: [],
      leader,
      leaderEpoch,
      partitionEpoch,
      directories: [], // filled in by the metadata log
    })
  yield* recordsOfConfigs(resourceTypes.topic, name, configs)
  if (!mirror) return
  const { linkId, sourceTopicName, sourceTopicId, state, stateSinceMs, error, reason, stop, ends } = mirror
  yield record(Mirror, { topicId, linkId, sourceTopicName, sourceTopicId })
  yield record(MirrorState, {
    topicId,
    state,
    sinceMs: stateSinceMs,
    error,
    reason,
    stopDecisionId: stop?.decisionId ?? zeroUuid,
    stopKind: stop?.kind ?? null,
    ends,
  })
}
