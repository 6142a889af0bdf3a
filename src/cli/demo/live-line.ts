/** A line that is written over while something goes on; where nobody watches, a line a second. */
import type { Cli } from '../cli.ts'

const quietEveryMs = 1_000

export class LiveLine {
  readonly #cli: Cli
  #lastMs = 0
  #isOpen = false

  constructor(cli: Cli) {
    this.#cli = cli
  }

  show(text: string): void {
    const { stdout } = this.#cli
    if (stdout.isTTY) {
      stdout.write(`\r${text.slice(0, (stdout.columns ?? 80) - 1)}\x1b[K`)
      this.#isOpen = true
    } else if (Date.now() - this.#lastMs >= quietEveryMs) {
      this.#lastMs = Date.now()
      stdout.write(`${text}\n`)
    }
  }

  /** Ends the line, so that what is printed next has its own. */
  close(): void {
    if (this.#isOpen) this.#cli.stdout.write('\n')
    this.#isOpen = false
  }
}
