/** A broker of the demo: a process of its own, with data in a temporary folder. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CliFailure, type Cli } from '../cli.ts'

const pollMs = 20
const readyWithinMs = 20_000

export interface ReadyLine {
  readonly port: number
  readonly httpPort: number | null
  readonly clusterId: string
  readonly pid: number
}

export class ChildBroker {
  readonly name: string
  readonly dataDir: string
  readonly ready: ReadyLine
  readonly #child: ChildProcess

  /** Starts a broker at free ports and waits until it is ready. `folder` is its own. */
  static async start(cli: Cli, name: string, folder: string): Promise<ChildBroker> {
    const dataDir = join(folder, 'data')
    const readyFile = join(folder, 'ready.json')
    const bin = fileURLToPath(new URL('bin/titorelli.js', cli.packageRoot))
    const ports = ['--port', '0', '--http-port', '0']
    const args = ['start', ...ports, '--data-dir', dataDir, '--ready-file', readyFile, '--log-level', 'error']
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: envOf(cli) })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)))
    const untilMs = Date.now() + readyWithinMs
    for (;;) {
      const ready = await readReadyFile(readyFile)
      if (ready) return new ChildBroker(name, { dataDir, ready, child })
      if (child.exitCode !== null || Date.now() > untilMs) {
        child.kill('SIGKILL')
        throw new CliFailure(`the ${name} did not start: ${errors.trim() || `not ready within ${readyWithinMs} ms`}`)
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  private constructor(name: string, parts: { dataDir: string; ready: ReadyLine; child: ChildProcess }) {
    this.name = name
    this.dataDir = parts.dataDir
    this.ready = parts.ready
    this.#child = parts.child
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.ready.port}`
  }
  get url(): string {
    return `http://127.0.0.1:${this.ready.httpPort}`
  }

  /** Ends the process, if it has not ended, and waits for that. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
}

/** Settings that were meant for another broker must not reach these. */
function envOf(cli: Cli): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(cli.env).filter(([name]) => !/^(TITORELLI|KAFKA)_/.test(name)))
}

async function readReadyFile(path: string): Promise<ReadyLine | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ReadyLine
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
