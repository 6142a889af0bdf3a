/** All scenarios, in the order in which they run. */
import type { Scenario } from '../peer.ts'
import { clusterScenarios } from './cluster.ts'
import { configScenarios } from './configs.ts'
import { fetchScenarios } from './fetch.ts'
import { groupOffsetScenarios } from './group-offsets.ts'
import { groupToolScenarios } from './group-tools.ts'
import { groupScenarios } from './groups.ts'
import { listOffsetsScenarios } from './list-offsets.ts'
import { metadataScenarios } from './metadata.ts'
import { produceScenarios } from './produce.ts'
import { topicScenarios } from './topics.ts'

export const scenarios: readonly Scenario[] = [
  ...metadataScenarios,
  ...produceScenarios,
  ...fetchScenarios,
  ...listOffsetsScenarios,
  ...topicScenarios,
  ...configScenarios,
  ...clusterScenarios,
  ...groupToolScenarios,
  ...groupScenarios,
  ...groupOffsetScenarios,
]
