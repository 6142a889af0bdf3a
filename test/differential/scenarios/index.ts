/** All scenarios, in the order in which they run. */
import type { Scenario } from '../peer.ts'
import { produceScenarios } from './produce.ts'

export const scenarios: readonly Scenario[] = [...produceScenarios]
