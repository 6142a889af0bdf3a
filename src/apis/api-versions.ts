import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import type { ResponseInput } from '../../protocol/schema.ts'
import { metadataVersionFeature, metadataVersionLevel } from '../../protocol/state/metadata-version.ts'
import { parseVersions } from '../../protocol/versions.ts'
import { KafkaError } from '../errors.ts'
import { defineHandler, type Handler } from './handler.ts'

/** KIP-511: names and versions of client software that monitoring can show as they are. */
const softwareText = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
/** Up to this version clients refuse a feature whose range begins at 0 (KAFKA-17011). */
const lastVersionWithoutZeroFeatures = 3
/** The lowest metadata version that Kafka 4 knows: 3.3-IV3. */
const metadataVersionMin = 7

/**
 * Features beside `metadata.version`: level 0 of each, which is also what clients assume of a cluster that does not name
 * them. Groups and transactions raise theirs when they come.
 */
const optionalFeatures = [
  { name: 'group.version', minVersion: 0, maxVersion: 0 },
  { name: 'transaction.version', minVersion: 0, maxVersion: 0 },
]

/** What the broker serves. `list` is a function because the list contains this handler. */
export function apiVersionsHandler(list: () => readonly Handler[]): Handler<typeof ApiVersions> {
  return defineHandler({
    api: ApiVersions,
    versions: '0-5',
    isBarrier: true,

    handle(request, { apiVersion, connection, broker }) {
      const answer = apiVersionsAnswer(list(), apiVersion)
      if (apiVersion >= 3) {
        const { clientSoftwareName, clientSoftwareVersion } = request
        if (!softwareText.test(clientSoftwareName) || !softwareText.test(clientSoftwareVersion))
          throw new KafkaError('INVALID_REQUEST')
        connection.clientSoftwareName = clientSoftwareName
        connection.clientSoftwareVersion = clientSoftwareVersion
      }
      const { clusterId, nodeId } = request
      const isOther = clusterId !== null && clusterId !== broker.metadata.image.clusterId
      if (isOther || (nodeId !== -1 && nodeId !== broker.nodeId)) throw new KafkaError('REBOOTSTRAP_REQUIRED')
      return answer
    },
  })
}

/** The successful answer. Its keys are also part of the refusal of a version (T2 of the protocol's traps: clients read them). */
export function apiVersionsAnswer(handlers: readonly Handler[], apiVersion: number): ResponseInput<typeof ApiVersions> {
  const apiKeys = handlers.map(({ api, versions, advertised }) => {
    const { min, max } = parseVersions(advertised ?? versions)
    return { apiKey: api.key, minVersion: min, maxVersion: max }
  })
  const metadataVersion = {
    name: metadataVersionFeature,
    minVersion: metadataVersionMin,
    maxVersion: metadataVersionLevel,
  }
  const level = {
    name: metadataVersionFeature,
    minVersionLevel: metadataVersionLevel,
    maxVersionLevel: metadataVersionLevel,
  }
  return {
    errorCode: 0,
    apiKeys,
    throttleTimeMs: 0,
    supportedFeatures:
      apiVersion <= lastVersionWithoutZeroFeatures ? [metadataVersion] : [metadataVersion, ...optionalFeatures],
    finalizedFeaturesEpoch: 0n,
    finalizedFeatures: [level],
  }
}
