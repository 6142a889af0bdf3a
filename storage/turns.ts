/** Turns of the event loop, which all who wait for the next one share. */
export class Turns {
  readonly #defer: (run: () => void) => void
  #next: Promise<void> | undefined

  /** `defer` runs a function in a later turn. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer
  }

  /** Resolves when what runs now is done: the same for all who ask until then. */
  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      this.#defer(() => {
        this.#next = undefined
        resolve()
      })
    })
    return this.#next
  }
}
