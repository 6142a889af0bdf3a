/** The protocol of a driver whose client is a Node library: JSON lines in and out. */
import { createInterface } from 'node:readline'

export interface TestRecord {
  readonly key: string
  readonly value: string
}

export interface Produce {
  readonly bootstrap: string
  readonly topic: string
  readonly codec: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  readonly idempotent: boolean
  readonly label: string
  readonly count: number
  readonly partition?: number
}

export interface Consume {
  readonly bootstrap: string
  readonly topic: string
  readonly count: number
  readonly timeoutMs: number
}

export interface Stream {
  readonly bootstrap: string
  readonly handle: string
  readonly topic: string
  readonly label: string
}

export interface Join {
  readonly bootstrap: string
  readonly handle: string
  readonly group: string
  readonly topic: string
  readonly assignor: 'range' | 'roundrobin' | 'cooperative-sticky' | 'sticky'
  readonly sessionTimeoutMs: number
  readonly instanceId?: string
}

export interface AdminCommand {
  readonly bootstrap: string
  readonly op: string
  readonly topic: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
  readonly count: number
  readonly name: string
  readonly value: string
  readonly partition: number
  readonly before: string
  readonly group: string
}

export interface Handle {
  readonly handle: string
}

export interface Commands {
  hello(): Promise<unknown>
  produce(command: Produce): Promise<unknown>
  consume(command: Consume): Promise<unknown>
  stream(command: Stream): Promise<unknown>
  endStream(command: Handle): Promise<unknown>
  join(command: Join): Promise<unknown>
  leave(command: Handle): Promise<unknown>
  admin(command: AdminCommand): Promise<unknown>
}

/** The library has no way to do it. */
export class UnsupportedError extends Error {}

export function valueOf(label: string, number: number): string {
  return `${label} ${number} `.repeat(40)
}

/** The numbered records of a label, `from` on, up to and without `to`. */
export function recordsOf(label: string, from: number, to: number): TestRecord[] {
  return Array.from({ length: to - from }, (_, at) => ({
    key: `${label}-${from + at}`,
    value: valueOf(label, from + at),
  }))
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

export function tellAssigned(handle: string, partitions: readonly number[]): void {
  print({ event: 'assigned', handle, partitions: partitions.toSorted((a, b) => a - b) })
}

export function tellRecord(handle: string, record: object): void {
  print({ event: 'record', handle, ...record })
}

/**
 * Answers commands until standard input ends. `nameOf` finds the name of the broker's error, or of the library's own.
 */
export function serve(commands: Commands, nameOf: (error: unknown) => string): void {
  const run = async (line: string): Promise<void> => {
    const command = JSON.parse(line) as { id: number; do: keyof Commands }
    try {
      const ok = await commands[command.do](command as never)
      print({ id: command.id, ok: ok ?? {} })
    } catch (error) {
      const kafka = error instanceof UnsupportedError ? 'UNSUPPORTED' : nameOf(error)
      print({ id: command.id, error: { kafka, message: error instanceof Error ? error.message : String(error) } })
    }
  }
  createInterface(process.stdin)
    .on('line', (line) => void run(line).catch((error: unknown) => console.error(error)))
    .on('close', () => process.exit())
}

/** The first error, inside out, that `find` names. */
export function findName(
  error: unknown,
  find: (error: Record<string, unknown>) => string | undefined,
): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const fields = error as Record<string, unknown>
  const inner = [fields['cause'], ...((fields['errors'] as unknown[] | undefined) ?? [])]
  for (const one of inner) {
    const name = findName(one, find)
    if (name !== undefined) return name
  }
  return find(fields)
}

const sendEveryMs = 50
const recordsPerSend = 10

/**
 * Sends numbered records one batch after the other until it is stopped. A batch that the library gives up counts as
 * failed.
 */
export class Streaming {
  readonly #send: (records: TestRecord[]) => Promise<void>
  readonly #label: string
  readonly #done: Promise<void>
  #isStopped = false
  #acknowledged = 0
  #failed = 0

  constructor(label: string, send: (records: TestRecord[]) => Promise<void>) {
    this.#label = label
    this.#send = send
    this.#done = this.#run()
  }

  async stop(): Promise<{ acknowledged: number; failed: number }> {
    this.#isStopped = true
    await this.#done
    return { acknowledged: this.#acknowledged, failed: this.#failed }
  }

  async #run(): Promise<void> {
    for (let next = 0; !this.#isStopped; next += recordsPerSend) {
      try {
        await this.#send(recordsOf(this.#label, next, next + recordsPerSend))
        this.#acknowledged += recordsPerSend
      } catch (error) {
        this.#failed += recordsPerSend
        console.error(error)
      }
      await new Promise((resolve) => setTimeout(resolve, sendEveryMs))
    }
  }
}
