/** All scenarios, in the order in which they run. */
import type { Scenario } from '../peer.ts'
import { fetchScenarios } from './fetch.ts'
import { listOffsetsScenarios } from './list-offsets.ts'
import { metadataScenarios } from './metadata.ts'
import { produceScenarios } from './produce.ts'

export const scenarios: readonly Scenario[] = [
  ...metadataScenarios,
  ...produceScenarios,
  ...fetchScenarios,
  ...listOffsetsScenarios,
]
