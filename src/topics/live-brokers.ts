/** The brokers of this process, and which of them serve. They share one stored copy of every partition. */
export class LiveBrokers {
  /** In the order of their listeners. */
  readonly nodeIds: readonly number[]
  readonly #down = new Set<number>()

  constructor(nodeIds: readonly number[]) {
    this.nodeIds = nodeIds
  }

  isAlive(nodeId: number): boolean {
    return this.nodeIds.includes(nodeId) && !this.#down.has(nodeId)
  }

  /** Those that serve, in order. */
  alive(): number[] {
    return this.nodeIds.filter((nodeId) => !this.#down.has(nodeId))
  }

  set(nodeId: number, isAlive: boolean): void {
    if (isAlive) this.#down.delete(nodeId)
    else this.#down.add(nodeId)
  }
}

export interface BrokerState {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly isAlive: boolean
}

/**
 * Takes brokers of this process down and up again, for tests of what clients do then. Their records stay with the
 * others.
 */
export interface BrokerControl {
  /** All of them, those that are down included. */
  list(): readonly BrokerState[]
  /**
   * Stops a broker: as one that shuts down, which hands its partitions over first; or as one that dies, whose
   * connections are cut. Resolves when others lead what it led. Rejects with BROKER_NOT_AVAILABLE for a broker that
   * there is not.
   */
  takeDown(nodeId: number, options?: { readonly isClean?: boolean }): Promise<void>
  /** Starts it again on its port. Resolves when it is in sync; it leads only what nobody else leads. */
  bringUp(nodeId: number): Promise<void>
}
