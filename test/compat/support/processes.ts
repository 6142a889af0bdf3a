/** Other processes: running them, waiting for them, finding ports for them. */
import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'

export interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** The process is killed then, and its status is null. */
  readonly timeoutMs?: number
}

/** Runs a command to its end. Rejects only when it can't be started. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 120_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => {}) // the process may end without having read its input
  child.stdin.end(options.input)
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { status, stdout, stderr }
}

/** Like `runCommand`; a status other than 0 throws with what was printed. */
export async function mustRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const finished = await runCommand(command, args, options)
  if (finished.status === 0) return finished
  throw new Error(`${command} ${args.join(' ')} ended with ${finished.status}: ${finished.stderr || finished.stdout}`)
}

/** Ports that nothing listens at. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Asks until there is an answer. What the probe throws counts as no answer, and is shown when time is up. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const answer = await probe()
      if (answer !== undefined && answer !== false) return answer
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
