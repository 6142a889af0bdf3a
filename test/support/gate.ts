import type { LogStore } from '../../storage/log-store.ts'

/** Calls wait at it while it is closed. */
export class Gate {
  #open: (() => void) | undefined
  #opened: Promise<void> = Promise.resolve()
  waiting = 0

  close(): void {
    this.#opened = new Promise((resolve) => (this.#open = resolve))
  }

  open(): void {
    this.#open?.()
  }

  async pass(): Promise<void> {
    this.waiting++
    await this.#opened
    this.waiting--
  }
}

/** The same object, but for these methods. */
export function withMethods<T extends object>(inner: T, methods: Partial<T>): T {
  return new Proxy(inner, {
    get(target, name) {
      const own = methods[name as keyof T] as unknown
      if (own) return own
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

/** Logs whose appends wait at a gate. */
export function gatedLogs(logs: LogStore, gate: Gate): LogStore {
  return withMethods(logs, {
    append: async (...args: Parameters<LogStore['append']>) => {
      await gate.pass()
      return logs.append(...args)
    },
  })
}
