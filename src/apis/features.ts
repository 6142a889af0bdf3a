/** The features of this cluster, as ApiVersions and UpdateFeatures show them. */
import { metadataVersionFeature, metadataVersionLevel } from '../../protocol/state/metadata-version.ts'

export interface Feature {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** What is in force. Clients take 0 for the level of a feature that they are not told of. */
  readonly level: number
}

/** The lowest metadata version that Kafka 4 knows: 3.3-IV3. */
const metadataVersionMin = 7

/** Groups and transactions raise theirs when they come. */
export const features: readonly Feature[] = [
  {
    name: metadataVersionFeature,
    minVersion: metadataVersionMin,
    maxVersion: metadataVersionLevel,
    level: metadataVersionLevel,
  },
  { name: 'group.version', minVersion: 0, maxVersion: 0, level: 0 },
  { name: 'transaction.version', minVersion: 0, maxVersion: 0, level: 0 },
]
