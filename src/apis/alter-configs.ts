import { AlterConfigs } from '../../protocol/apis/alter-configs.ts'
import { KafkaError } from '../errors.ts'
import { alterEach, alterResource, refusal } from './alter-resources.ts'
import { defineHandler } from './handler.ts'

/** Replaces all configs of topics, brokers, groups and client metrics: what is not named goes back to its default. */
export const alterConfigs = defineHandler({
  api: AlterConfigs,
  versions: '0-2',

  async handle({ resources, validateOnly }, context) {
    const responses = await alterEach(resources, (resource) =>
      alterResource(resource, () => overridesOf(resource.configs), validateOnly, context),
    )
    return { throttleTimeMs: 0, responses }
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
    if (value === null) throw new KafkaError('INVALID_REQUEST', `Null value not supported for : ${name}`)
    overrides.set(name, value)
  }
  return overrides
}
