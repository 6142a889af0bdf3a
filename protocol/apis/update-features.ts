import { array, bool, defineApi, int16, int32, int8, string } from '../schema.ts'

/**
 * Changes the finalized levels of features.
 * Spec: Kafka `UpdateFeaturesRequest.json`, `UpdateFeaturesResponse.json`.
 */
export const UpdateFeatures = defineApi({
  name: 'UpdateFeatures',
  key: 57,
  versions: '0-2',
  flexible: '0+',
  request: {
    timeoutMs: int32('How long the broker may take, in milliseconds.', { default: 60000 }),
    featureUpdates: array('Features to change.', {
      feature: string('Name of the feature.', { mapKey: true }),
      maxVersionLevel: int16('Level to set; below 1 removes the feature.'),
      allowDowngrade: bool('Allows a lower level.', { versions: '0' }),
      upgradeType: int8('1 upgrade, 2 downgrade that loses nothing, 3 any downgrade.', { versions: '1+', default: 1 }),
    }),
    validateOnly: bool('Only checks whether it would work.', { versions: '1+', default: false }),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.'),
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    errorMessage: string('What went wrong, or null.', { nullable: '0+' }),
    results: array(
      'One entry per feature.',
      {
        feature: string('Name of the feature.', { mapKey: true }),
        errorCode: int16('Error code of the feature, 0 for success.'),
        errorMessage: string('What went wrong, or null.', { nullable: '0-1' }),
      },
      { versions: '0-1', ignorable: true },
    ),
  },
})
