/** Our broker as its users run it: a process of its own, started through bin/titorelli.js. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually, runCommand, type Finished } from './processes.ts'

const bin = fileURLToPath(new URL('../../../bin/titorelli.js', import.meta.url))

interface Ready {
  readonly port: number
  /** Of each broker that it shows. */
  readonly ports: readonly number[]
  /** null without an HTTP API. */
  readonly httpPort: number | null
  readonly clusterId: string
  readonly pid: number
}

export class TitorelliProcess {
  readonly dataDir: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #ready: Ready | undefined
  #output = ''

  constructor(dataDir: string, args: readonly string[]) {
    this.dataDir = dataDir
    this.#args = args
  }

  get ready(): Ready {
    if (!this.#ready) throw new Error('the broker has not been started')
    return this.#ready
  }
  get bootstrap(): string {
    return `127.0.0.1:${this.ready.port}`
  }
  get httpUrl(): string {
    return `http://127.0.0.1:${this.ready.httpPort}`
  }
  /** Everything that it printed so far. */
  get output(): string {
    return this.#output
  }

  /** Starts it, at the ports it had before, and waits for the ready file. Returns the milliseconds that took. */
  async start(): Promise<number> {
    const startedMs = performance.now()
    const readyFile = join(this.dataDir, '..', 'ready.json')
    await rm(readyFile, { force: true })
    const port = this.#ready?.port ?? 0
    const httpPort = this.#ready?.httpPort ?? 0
    const args = ['start', '--port', `${port}`, '--http-port', `${httpPort}`, '--data-dir', this.dataDir]
    const child = spawn(process.execPath, [bin, ...args, '--ready-file', readyFile, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    const ready = await eventually('the broker is ready', async () => {
      if (child.exitCode !== null || child.signalCode !== null) return 'ended' as const
      const text = await readFile(readyFile, 'utf8')
      return text.endsWith('\n') ? (JSON.parse(text) as Ready) : undefined
    })
    if (ready === 'ended') throw new Error(`the broker ended by itself: ${this.#output}`)
    this.#ready = ready
    return performance.now() - startedMs
  }

  /** Sends a signal and waits for the end. Returns the exit status, null after a signal that it did not handle. */
  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    return await ended
  }

  /** Runs a command of ours against this broker. */
  async cli(...args: readonly string[]): Promise<Finished> {
    return await runCommand(process.execPath, [bin, ...args, '--url', this.httpUrl])
  }

  /** As `cli`; a status other than 0 throws. */
  async mustCli(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.cli(...args)
    if (status !== 0) throw new Error(`titorelli ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`)
    return stdout
  }
}

/** Starts a broker with data on disk; it ends, and its data goes, when the test ends. */
export async function startTitorelli(t: TestContext, ...args: readonly string[]): Promise<TitorelliProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-'))
  const broker = new TitorelliProcess(join(folder, 'data'), ['--log-level', 'warn', ...args])
  t.after(async () => {
    await broker.end('SIGKILL')
    if (Reflect.get(t, 'error')) t.diagnostic(`the broker printed: ${broker.output}`)
    await rm(folder, { recursive: true, force: true })
  })
  await broker.start()
  return broker
}

/** Runs bin/titorelli.js to its end. */
export async function runTitorelli(...args: readonly string[]): Promise<Finished> {
  return await runCommand(process.execPath, [bin, ...args])
}
