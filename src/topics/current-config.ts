/**
 * The broker's configuration as it is now: with what was set while it runs. For code that lives longer than one
 * request.
 */
import { withDynamicConfigs, type BrokerConfig } from '../config/broker-config.ts'
import type { MetadataImage, MetadataStore } from '../metadata/metadata-store.ts'

export class CurrentConfig {
  readonly #metadata: Pick<MetadataStore, 'image' | 'onImage'>
  readonly #startConfig: BrokerConfig
  /** Of `#value`. */
  #brokerConfigs: MetadataImage['brokerConfigs'] | undefined
  #value: BrokerConfig

  constructor(metadata: Pick<MetadataStore, 'image' | 'onImage'>, startConfig: BrokerConfig) {
    this.#metadata = metadata
    this.#startConfig = startConfig
    this.#value = startConfig
  }

  get value(): BrokerConfig {
    const { brokerConfigs } = this.#metadata.image
    if (brokerConfigs !== this.#brokerConfigs) {
      this.#brokerConfigs = brokerConfigs
      const own = brokerConfigs.get(String(this.#startConfig.nodeId))
      this.#value = withDynamicConfigs(this.#startConfig, [brokerConfigs.get(''), own])
    }
    return this.#value
  }

  /** Calls `listener` after each change, until it is disposed of. */
  onChange(listener: () => void): Disposable {
    return this.#metadata.onImage((image, previous) => {
      if (image.brokerConfigs !== previous.brokerConfigs) listener()
    })
  }
}
