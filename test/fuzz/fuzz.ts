/**
 * Runs cases in a worker and watches it from outside: a case that never ends is found too, and memory is looked at
 * while cases run. A case is known by seed, target and number alone, so that each can be run again.
 */
import { Worker } from 'node:worker_threads'
import { targets } from './targets.ts'

/** What a process that runs cases may have resident: brokers, the codecs of all messages, and no bomb. */
export const residentMaxBytes = 512 * 1024 * 1024
/** The heap of the worker: with more it would collect late, and what is resident would say little. */
const heapMaxMegabytes = 256
/** A case that has not ended by then, on however busy a machine, never will. */
const stuckMs = 30_000
/** How often the worker is looked at. */
const watchMs = 100

export interface FuzzOptions {
  readonly seed: number
  /** Over all targets, by their weights. */
  readonly caseCount: number
  /** Only this target. */
  readonly target?: string | undefined
  /** Only this case, with those before it in its opening. */
  readonly caseNumber?: number | undefined
}

export interface FuzzReport {
  readonly cases: Readonly<Record<string, number>>
  readonly residentBytes: number
  readonly slowestMs: number
  /** What broke, and the command that shows it again. */
  readonly failure: string | undefined
}

/**
 * What worker and watcher share: which case runs, since when (a counter of looks is enough), and the slowest so far.
 */
export const shared = { target: 0, caseNumber: 1, slowestMs: 2, length: 3 } as const

export interface WorkerTask {
  readonly seed: number
  readonly plan: readonly { readonly target: number; readonly from: number; readonly to: number }[]
  readonly state: Int32Array
}
export type WorkerAnswer = { readonly ok: true } | { readonly ok: false; readonly error: string }

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const state = new Int32Array(new SharedArrayBuffer(shared.length * Int32Array.BYTES_PER_ELEMENT))
  const plan = planOf(options)
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { seed: options.seed, plan, state } satisfies WorkerTask,
    resourceLimits: { maxOldGenerationSizeMb: heapMaxMegabytes },
  })
  const answered = new Promise<WorkerAnswer>((resolve) => {
    worker.once('message', resolve)
    worker.once('error', (error) => resolve({ ok: false, error: String(error instanceof Error ? error.stack : error) }))
    worker.once('exit', (status) => resolve({ ok: false, error: `the worker ended with ${status}` }))
  })
  const watch = new Watch(state)
  const broken = await Promise.race([answered.then((answer) => (answer.ok ? undefined : answer.error)), watch.broken])
  watch.stop()
  await worker.terminate()
  const at = { target: targets[state[shared.target]!]!.name, caseNumber: state[shared.caseNumber]! }
  const replay = `npm run fuzz -- --seed ${options.seed} --target '${at.target}' --case ${at.caseNumber}`
  const cases = plan.map(({ target, from, to }) => [targets[target]!.name, to - from] as const)
  return {
    cases: Object.fromEntries(cases),
    residentBytes: watch.residentBytes,
    slowestMs: state[shared.slowestMs]!,
    failure: broken === undefined ? undefined : `${broken}\nIt shows again with: ${replay}`,
  }
}

function planOf({ caseCount, target: wanted, caseNumber }: FuzzOptions): WorkerTask['plan'] {
  const chosen = targets.flatMap((target, at) =>
    wanted === undefined || target.name === wanted ? [{ target, at }] : [],
  )
  if (chosen.length === 0) throw new Error(`there is no target ${wanted}`)
  const weights = chosen.reduce((sum, { target }) => sum + target.weight, 0)
  return chosen.map(({ target, at }) => {
    if (caseNumber === undefined) return { target: at, from: 0, to: Math.ceil((caseCount * target.weight) / weights) }
    return { target: at, from: caseNumber - (caseNumber % target.casesPerOpening), to: caseNumber + 1 }
  })
}

/** Looks at the worker from outside of it. */
class Watch {
  readonly broken: Promise<string>
  readonly #state: Int32Array
  readonly #timer: NodeJS.Timeout
  readonly #break: (reason: string) => void
  #seen = ''
  #sinceMs = performance.now()
  residentBytes = 0

  constructor(state: Int32Array) {
    this.#state = state
    const { promise, resolve } = Promise.withResolvers<string>()
    this.broken = promise
    this.#break = resolve
    this.#timer = setInterval(() => this.#look(), watchMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#look()
  }

  #look(): void {
    this.residentBytes = Math.max(this.residentBytes, process.memoryUsage.rss())
    if (this.residentBytes > residentMaxBytes) this.#break(`${this.residentBytes} bytes are resident`)
    const [target, caseNumber] = this.#state
    const seen = `${target} ${caseNumber}`
    if (seen !== this.#seen) this.#sinceMs = performance.now()
    this.#seen = seen
    if (performance.now() - this.#sinceMs > stuckMs) this.#break(`a case has not ended after ${stuckMs} ms`)
  }
}
