import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import type { ResponseInput } from '../../protocol/schema.ts'
import { parseVersions } from '../../protocol/versions.ts'
import { KafkaError } from '../errors.ts'
import { features } from './features.ts'
import { defineHandler, type Handler } from './handler.ts'

/** KIP-511: names and versions of client software that monitoring can show as they are. */
const softwareText = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
/** Up to this version clients refuse a feature whose range begins at 0 (KAFKA-17011). */
const lastVersionWithoutZeroFeatures = 3
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

/**
 * The successful answer. Its keys are also part of the refusal of a version (T2 of the protocol's traps: clients read
 * them).
 */
export function apiVersionsAnswer(handlers: readonly Handler[], apiVersion: number): ResponseInput<typeof ApiVersions> {
  const apiKeys = handlers.map(({ api, versions, advertised }) => {
    const { min, max } = parseVersions(advertised ?? versions)
    return { apiKey: api.key, minVersion: min, maxVersion: max }
  })
  const supportedFeatures = features
    .filter(({ minVersion }) => minVersion > 0 || apiVersion > lastVersionWithoutZeroFeatures)
    .map(({ name, minVersion, maxVersion }) => ({ name, minVersion, maxVersion }))
  const finalizedFeatures = features
    .filter(({ level }) => level > 0)
    .map(({ name, level }) => ({ name, minVersionLevel: level, maxVersionLevel: level }))
  return {
    errorCode: 0,
    apiKeys,
    throttleTimeMs: 0,
    supportedFeatures,
    finalizedFeaturesEpoch: 0n,
    finalizedFeatures,
  }
}
