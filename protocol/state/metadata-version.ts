/**
 * The `metadata.version` that this broker's metadata log is written at, and that clients see as a finalized feature. It
 * fixes the versions of the records that follow it; Kafka names this level 4.3-IV0.
 */
export const metadataVersionFeature = 'metadata.version'
export const metadataVersionLevel = 30
