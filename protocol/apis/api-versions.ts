import { array, bool, defineApi, int16, int32, int64, string } from '../schema.ts'

/**
 * Says which APIs and versions the broker serves; the first request on most connections.
 * Spec: Kafka `ApiVersionsRequest.json`, `ApiVersionsResponse.json`.
 */
export const ApiVersions = defineApi({
  name: 'ApiVersions',
  key: 18,
  versions: '0-5',
  flexible: '3+',
  request: {
    clientSoftwareName: string('Name of the client library, for example `apache-kafka-java`.', {
      versions: '3+',
      ignorable: true,
    }),
    clientSoftwareVersion: string('Version of the client library.', { versions: '3+', ignorable: true }),
    clusterId: string('The cluster the client means to reach, or null where it does not check (KIP-1242).', {
      versions: '5+',
      nullable: '5+',
      default: null,
      ignorable: true,
    }),
    nodeId: int32('The node the client means to reach, or -1 where it does not check.', {
      versions: '5+',
      default: -1,
      ignorable: true,
    }),
  },
  response: {
    errorCode: int16('Error code for the whole answer, 0 for success.'),
    apiKeys: array('One row per API that this listener serves.', {
      apiKey: int16('Key of the API.', { mapKey: true }),
      minVersion: int16('Lowest served version.'),
      maxVersion: int16('Highest served version.'),
    }),
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', {
      versions: '1+',
      ignorable: true,
    }),
    supportedFeatures: array(
      'Feature levels the broker is able to run; up to version 3 without those that begin at level 0.',
      {
        name: string('Name of the feature.', { mapKey: true }),
        minVersion: int16('Lowest level this broker can run at.'),
        maxVersion: int16('Highest level this broker can run at.'),
      },
      { versions: '3+', ignorable: true, tag: 0 },
    ),
    finalizedFeaturesEpoch: int64('Grows with each change of the finalized features; -1 means unknown.', {
      versions: '3+',
      default: -1n,
      ignorable: true,
      tag: 1,
    }),
    finalizedFeatures: array(
      'Feature levels the cluster has settled on; meaningful only with an epoch of 0 or more.',
      {
        name: string('Name of the feature.', { mapKey: true }),
        maxVersionLevel: int16('Highest finalized level of the feature.'),
        minVersionLevel: int16('Lowest finalized level of the feature.'),
      },
      { versions: '3+', ignorable: true, tag: 2 },
    ),
    zkMigrationReady: bool('A remnant of the move away from ZooKeeper; false.', {
      versions: '3+',
      default: false,
      ignorable: true,
      tag: 3,
    }),
  },
})
