import type { BrokerLayers } from './config-sources.ts'
import type { BrokerParts } from './handler.ts'

/**
 * Where a broker, this one unless another is named, gets its configs from. What it is and where it can be reached
 * counts as set, however that came about.
 */
export function layersOf(broker: BrokerParts, brokerId = String(broker.nodeId)): BrokerLayers {
  const { brokerConfigs } = broker.metadata.image
  const perBroker = brokerConfigs.get(brokerId) ?? new Map<string, string>()
  const clusterWide = brokerConfigs.get('') ?? new Map<string, string>()
  const explicit = new Map([...broker.config.explicit, ...factsOf(broker, brokerId)])
  return { perBroker, clusterWide, explicit }
}

function factsOf(broker: BrokerParts, brokerId: string): [name: string, value: string][] {
  const endpoint = broker.endpoints().find(({ nodeId }) => String(nodeId) === brokerId)
  if (!endpoint) return []
  return [
    ['node.id', brokerId],
    ['broker.id', brokerId],
    ['advertised.listeners', `PLAINTEXT://${endpoint.host}:${endpoint.port}`],
    ['log.dirs', broker.environment.disk.root],
  ]
}
