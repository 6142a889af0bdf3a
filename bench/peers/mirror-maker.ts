/** MirrorMaker 2 between two brokers, as a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peerScript } from '../../test/compat/support/peers.ts'
import { partitionCount, type Broker } from './peers.ts'
import { cpuSecondsOf, EndWatcher } from './processes.ts'

/** The JVM flags of its start script. */
const jvmFlags =
  '-Xms256m -Xmx2g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent'

export class MirrorMaker {
  readonly target: Broker
  readonly #source: Broker
  #child: ChildProcess | undefined
  #folder: string | undefined
  #output = ''
  /** From the start of the process to the first record in the target. */
  firstRecordMs = 0

  constructor(source: Broker, target: Broker) {
    this.#source = source
    this.target = target
  }

  /** Resolves when the topic, which is at the source already, is at the target. */
  async start(topic: string, recordCount: number): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'bench-mirrormaker-'))
    const ends = ['--source', this.#source.bootstrap, '--target', this.target.bootstrap]
    // Only topics made for it, and new ones are seen soon: by default it looks every ten minutes.
    const configs = ['--topics', 'mirrormaker-.*', '--config', 'refresh.topics.interval.seconds=1']
    const startedMs = performance.now()
    const child = spawn(peerScript('mirror-maker-run'), ['--dir', this.#folder, ...ends, ...configs], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, KAFKA_JVM_FLAGS: jvmFlags },
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-4000)))
    const watcher = await EndWatcher.open(this.target.port, topic, partitionCount)
    try {
      const ended = new Promise<never>((_, reject) => {
        child.once('exit', () => reject(new Error(`MirrorMaker ended by itself: ${this.#output}`)))
      })
      this.firstRecordMs = (await Promise.race([watcher.reach(1, 120_000), ended])) - startedMs
      await Promise.race([watcher.reach(recordCount), ended])
      ended.catch(() => undefined) // it ends with the bench
    } finally {
      watcher.close()
    }
  }

  /** Of it and of the broker that it writes to. */
  async cpuSeconds(): Promise<number> {
    return (await cpuSecondsOf(this.#child!.pid!)) + (await this.target.cpuSeconds())
  }

  /** Stands still: for a few seconds, in which nobody misses it. */
  pause(): void {
    this.#child!.kill('SIGSTOP')
  }

  resume(): void {
    this.#child!.kill('SIGCONT')
  }

  async end(): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL') // what it copied is not needed any more
      await ended
    }
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }
}
