import { IncrementalAlterConfigs } from '../../protocol/apis/incremental-alter-configs.ts'
import { KafkaError } from '../errors.ts'
import { alterTopic, applyChange, refusal } from './alter-topic-configs.ts'
import { defineHandler } from './handler.ts'

/** Changes single configs of topics. Configs of brokers can't be changed while the broker runs. */
export const incrementalAlterConfigs = defineHandler({
  api: IncrementalAlterConfigs,
  versions: '0-1',

  async handle({ resources, validateOnly }, context) {
    const responses = resources.map((resource) =>
      alterTopic(
        resource,
        ({ image }) => {
          const overrides = new Map(image.configs)
          const names = new Set(resource.configs.map(({ name }) => name))
          if (names.size < resource.configs.length)
            throw new KafkaError('INVALID_REQUEST', 'Error due to duplicate config keys')
          for (const change of resource.configs) applyChange(overrides, change, context)
          return overrides
        },
        validateOnly,
        context,
      ),
    )
    return { throttleTimeMs: 0, responses: await Promise.all(responses) }
  },

  fail({ resources }, error) {
    return { throttleTimeMs: 0, responses: resources.map((resource) => refusal(resource, error)) }
  },
})
