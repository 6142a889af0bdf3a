import { UpdateFeatures } from '../../protocol/apis/update-features.ts'
import { errorCodes } from '../../protocol/errors.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { KafkaError } from '../errors.ts'
import { features, type Feature } from './features.ts'
import { defineHandler, type Context } from './handler.ts'

type Request = RequestOf<typeof UpdateFeatures>
type Update = Request['featureUpdates'][number]

const upgrade = 1
const unsafeDowngrade = 3

/**
 * Changes the levels of features. They follow from what this broker can do and stay as they are: the level of now is
 * accepted, any other is refused, those that Kafka knows with INVALID_UPDATE_VERSION too.
 */
export const updateFeatures = defineHandler({
  api: UpdateFeatures,
  versions: '0-2',

  handle({ featureUpdates }, context) {
    context.authorize('ALTER', 'CLUSTER', 'kafka-cluster')
    for (const update of featureUpdates) checkUpdate(update, context) // all or none
    const results = featureUpdates.map(({ feature }) => ({
      feature,
      errorCode: errorCodes.NONE,
      errorMessage: 'NONE',
    }))
    return { throttleTimeMs: 0, errorCode: errorCodes.NONE, errorMessage: null, results }
  },

  fail(_request, { errorCode, message }) {
    return { throttleTimeMs: 0, errorCode, errorMessage: message, results: [] }
  },
})

function checkUpdate({ feature, maxVersionLevel, ...update }: Update, { apiVersion }: Context): void {
  const known = features.find(({ name }) => name === feature)
  const type = apiVersion === 0 ? (update.allowDowngrade ? unsafeDowngrade : upgrade) : update.upgradeType
  if (type < upgrade || type > unsafeDowngrade) throw refusal(`got upgrade type ${type}, expected 1 to 3`)
  if (!known) throw refusal(`this broker knows no feature '${feature}'`)
  if (maxVersionLevel !== known.level) throw refusal(levelText(known, maxVersionLevel))
}

function refusal(message: string): KafkaError {
  return new KafkaError('INVALID_UPDATE_VERSION', message)
}

function levelText({ name, level, minVersion, maxVersion }: Feature, wanted: number): string {
  if (wanted < minVersion || wanted > maxVersion)
    return `got level ${wanted} of ${name}, expected ${minVersion} to ${maxVersion}`
  return `${name} has level ${level} for good, got ${wanted}`
}
