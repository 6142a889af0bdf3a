/**
 * A client library behind a driver: a program in the library's language, in test/compat/drivers/, that does with the
 * unmodified library what it is told. One JSON object per line each way; drivers/README.md has the commands.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { mustRun } from './processes.ts'

export interface DriverCommand {
  readonly do: 'hello' | 'produce' | 'consume' | 'stream' | 'endStream' | 'join' | 'leave' | 'admin'
  readonly [option: string]: unknown
}

export interface DriverRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: string
}

/** A member of a group, as its driver tells of it. */
export interface Member {
  /** Every whole assignment that it was given, in order; [] before the first. */
  readonly assignments: (readonly number[])[]
  readonly records: DriverRecord[]
}

/** What a driver answered instead of a result. */
export class DriverError extends Error {
  /**
   * Kafka's name of the broker's error, the library's own of another, or UNSUPPORTED: the library has no way to do it.
   */
  readonly kafka: string

  constructor(kafka: string, message: string) {
    super(`${kafka}: ${message}`)
    this.name = 'DriverError'
    this.kafka = kafka
  }
}

interface Answer {
  readonly id?: number
  readonly ok?: unknown
  readonly error?: { readonly kafka: string; readonly message: string }
}

interface DriverEvent {
  readonly event?: 'assigned' | 'record'
  readonly handle?: string
}

interface Pending {
  readonly resolve: (ok: unknown) => void
  readonly reject: (error: Error) => void
}

/** The program and arguments of a driver, built where it has to be. */
export async function buildDriver(client: string): Promise<readonly string[]> {
  const script = fileURLToPath(new URL(`../drivers/${client}/build`, import.meta.url))
  const { stdout } = await mustRun('bash', [script], { timeoutMs: 900_000 })
  const command = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as string[]
  return command[0] === 'node' ? [process.execPath, ...command.slice(1)] : command
}

export class Driver {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  readonly #members = new Map<string, Member>()
  readonly #watchers = new Set<() => void>()
  #lastId = 0
  #ended: Error | undefined
  #complaints = ''

  constructor([program, ...args]: readonly string[]) {
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child = child
    child.stdin.on('error', () => {}) // it ended by itself; its end says so
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-4_000)
    })
    createInterface(child.stdout).on('line', (line) => this.#hear(line))
    child.on('error', (error) => this.#end(error))
    child.on('close', (status, signal) => this.#end(new Error(`the driver ended with ${status ?? signal}`)))
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /** The last of what it printed to standard error. */
  get complaints(): string {
    return this.#complaints
  }

  /** @throws DriverError what the driver answered; another error when it ended, or did not answer in time. */
  async send<T>(command: DriverCommand, timeoutMs = 45_000): Promise<T> {
    if (this.#ended) throw this.#ended
    const id = ++this.#lastId
    return await new Promise<T>((resolve, reject) => {
      const tooLate = setTimeout(
        () => finish(new Error(`'${command.do}' got no answer within ${timeoutMs} ms`)),
        timeoutMs,
      )
      const finish = (error?: Error, ok?: unknown): void => {
        clearTimeout(tooLate)
        this.#pending.delete(id)
        if (error) reject(error)
        else resolve(ok as T)
      }
      this.#pending.set(id, { resolve: (ok) => finish(undefined, ok), reject: finish })
      this.#child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`)
    })
  }

  /** The member of that handle; it begins with the first that is heard, or asked, of it. */
  member(handle: string): Member {
    const known = this.#members.get(handle)
    if (known) return known
    const member: Member = { assignments: [], records: [] }
    this.#members.set(handle, member)
    return member
  }

  /** Waits until the events that came make it true. `state` is shown when they do not in time. */
  async until(
    what: string,
    isTrue: () => boolean,
    { timeoutMs = 45_000, state = () => '' }: { readonly timeoutMs?: number; readonly state?: () => string } = {},
  ): Promise<void> {
    if (isTrue()) return
    await new Promise<void>((resolve, reject) => {
      const finish = (error?: Error): void => {
        clearTimeout(tooLate)
        this.#watchers.delete(look)
        if (error) reject(error)
        else resolve()
      }
      const look = (): void => {
        if (this.#ended) finish(this.#ended)
        else if (isTrue()) finish()
      }
      const tooLate = setTimeout(() => finish(new Error(`${what}: not within ${timeoutMs} ms; ${state()}`)), timeoutMs)
      this.#watchers.add(look)
    })
  }

  /** Ends its input and waits for its end. */
  async end(): Promise<void> {
    this.#child.stdin?.end()
    const tooLate = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#closed()
    clearTimeout(tooLate)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed()
  }

  async #closed(): Promise<void> {
    if (!this.#ended) await new Promise((resolve) => this.#child.once('close', resolve))
  }

  #hear(line: string): void {
    let said: Answer & DriverEvent
    try {
      said = JSON.parse(line) as Answer & DriverEvent
    } catch {
      this.#complaints += `${line}\n`
      return
    }
    if (said.event !== undefined) this.#note(said)
    const pending = said.id === undefined ? undefined : this.#pending.get(said.id)
    if (!pending) return
    if (said.error) pending.reject(new DriverError(said.error.kafka, said.error.message))
    else pending.resolve(said.ok)
  }

  #note(event: DriverEvent): void {
    const member = this.member(event.handle ?? '')
    if (event.event === 'assigned') {
      member.assignments.push((event as { partitions: number[] }).partitions.toSorted((a, b) => a - b))
    } else member.records.push(event as unknown as DriverRecord)
    for (const look of this.#watchers) look()
  }

  #end(error: Error): void {
    this.#ended ??= new Error(`${error.message}: ${this.#complaints}`)
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    for (const look of this.#watchers) look()
  }
}
