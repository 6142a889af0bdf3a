import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import { KafkaError } from '../errors.ts'
import {
  alterEach,
  alterResource,
  overridesAfter,
  refusal,
  resourceOf,
  type AlterResult,
  type Change,
} from './alter-resources.ts'
import { alterLoggers } from './broker-loggers.ts'
import type { Resource } from './config-resources.ts'
import { resourceTypes } from './config-sources.ts'
import { defineHandler, type Context } from './handler.ts'

/** Changes single configs of topics, brokers, groups and client metrics, and the levels of loggers. */
export const incrementalAlterConfigs = defineHandler({
  api: IncrementalAlterConfigs,
  versions: '0-1',

  async handle({ resources, validateOnly }, context) {
    const responses = await alterEach(resources, (resource) =>
      resource.resourceType === resourceTypes.BROKER_LOGGER
        ? Promise.resolve(alterLevels(resource, validateOnly, context))
        : alterResource(resource, (now, found) => overridesAfter(now, resource.configs, found), validateOnly, context),
    )
    return { throttleTimeMs: 0, responses }
  },

  fail({ resources }, error) {
    return { throttleTimeMs: 0, responses: resources.map((resource) => refusal(resource, error)) }
  },
})

function alterLevels(
  resource: Resource & { readonly configs: readonly Change[] },
  validateOnly: boolean,
  context: Context,
): AlterResult {
  try {
    context.authorize('ALTER_CONFIGS', 'CLUSTER', 'kafka-cluster')
    alterLoggers(resource.resourceName, resource.configs, { validateOnly, broker: context.broker })
    return { errorCode: 0, errorMessage: null, ...resourceOf(resource) }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refusal(resource, error)
  }
}
