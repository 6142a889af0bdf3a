import { AlterConfigs } from '../../protocol/apis/alter-configs.ts'
import { topicConfigRow } from '../config/topic-config.ts'
import { KafkaError } from '../errors.ts'
import { alterTopic, refusal } from './alter-topic-configs.ts'
import { defineHandler } from './handler.ts'

/** Replaces all configs of topics: what is not named goes back to its default. */
export const alterConfigs = defineHandler({
  api: AlterConfigs,
  versions: '0-2',

  async handle({ resources, validateOnly }, context) {
    const responses = resources.map((resource) =>
      alterTopic(resource, () => overridesOf(resource.configs), validateOnly, context),
    )
    return { throttleTimeMs: 0, responses: await Promise.all(responses) }
  },

  fail({ resources }, error) {
    return { throttleTimeMs: 0, responses: resources.map((resource) => refusal(resource, error)) }
  },
})

function overridesOf(
  configs: readonly { readonly name: string; readonly value: string | null }[],
): Map<string, string> {
  const overrides = new Map<string, string>()
  for (const { name, value } of configs) {
    if (!topicConfigRow(name)) throw new KafkaError('INVALID_CONFIG', `Unknown topic config name: ${name}`)
    if (value === null) throw new KafkaError('INVALID_REQUEST', `Null value not supported for : ${name}`)
    overrides.set(name, value)
  }
  return overrides
}
