/**
 * A worker that sends hostile input to a broker: a thousand connections with frames that never end, and beside them
 * damaged captures of real clients at a steady pace. Case N of a seed is always the same.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { Random } from '../../../src/environment/environment.ts'
import { seededRandom } from '../../../src/environment/seeded-random.ts'
import { loadCaptures } from '../../fuzz/captures.ts'
import { chance, joined, mutated, pick } from '../../fuzz/mutate.ts'

export interface HostileTask {
  readonly port: number
  readonly seed: number
  readonly durationMs: number
  readonly casesPerSecond: number
  /** Opened at once and held to the end, each with a part of a frame. */
  readonly heldConnections: number
}

export interface HostileReport {
  readonly cases: number
  /** Of the ones with nothing wrong with them, how many were answered. */
  readonly wholeAnswered: number
  readonly held: number
  /** What broke a rule: the number of the case, and how. */
  readonly failures: readonly string[]
}

/** Whatever comes before it, a connection is accepted, and a whole request answered, within this time. */
const deadlineMs = 10_000
/** How long a case listens to what the broker makes of it. */
const listenMs = 100

const captures = loadCaptures()

function withSize(frame: Uint8Array, sizeBytes: number): Uint8Array {
  const changed = Uint8Array.from(frame)
  new DataView(changed.buffer).setInt32(0, sizeBytes)
  return changed
}

/** What one hostile connection sends. */
export function hostileStream(random: Random): Uint8Array {
  const frames = pick(random, captures)
  switch (random.below(6)) {
    case 0: // damaged inside their frames
      return joined(...frames.map((frame) => withSize(mutated(random, frame, 4), frame.length - 4)))
    case 1: // damaged, with sizes that hold
      return joined(
        ...frames.map((frame) => {
          const changed = mutated(random, frame, chance(random, 2) ? 12 : 4)
          return withSize(changed, changed.length - 4)
        }),
      )
    case 2: // a size that lies
      return withSize(pick(random, frames), pick(random, [-1, 0, 3, 0x7fffffff, -0x80000000, 104_857_600, 104_857_601]))
    case 3: {
      // frames of several clients on one connection
      const others = [...frames, ...pick(random, captures), ...pick(random, captures)]
      return joined(...Array.from({ length: others.length }, () => pick(random, others)))
    }
    case 4: {
      // cut anywhere
      const whole = joined(...frames)
      return whole.subarray(0, random.below(whole.length))
    }
    default: // none of Kafka's
      return random.bytes(random.below(300))
  }
}

/** Resolves when connected. @throws after the deadline. */
export async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined) // that the broker closes it is an answer
  await within('a connection', new Promise((resolve) => socket.once('connect', () => resolve(undefined))))
  return socket
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${deadlineMs} ms`)), deadlineMs)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function runCase(port: number, random: Random): Promise<void> {
  const stream = hostileStream(random)
  const socket = await open(port)
  socket.resume()
  const pieceBytes = pick(random, [1, 5, 64, 100_000])
  for (let at = 0; at < stream.length && !socket.destroyed; at += pieceBytes) {
    socket.write(stream.subarray(at, at + pieceBytes))
    if (at < 50 * pieceBytes) await sleep(0)
  }
  await sleep(listenMs)
  if (chance(random, 2)) socket.resetAndDestroy()
  else socket.destroy()
}

/** The first request of a real client, with nothing wrong with it. */
async function runWhole(port: number): Promise<void> {
  const socket = await open(port)
  const answered = new Promise((resolve) => socket.once('data', resolve))
  socket.write(captures[0]![0]!)
  await within('an answer', answered)
  socket.destroy()
}

async function hold({ port, seed, heldConnections }: HostileTask): Promise<Socket[]> {
  return await Promise.all(
    Array.from({ length: heldConnections }, async (_, at) => {
      const random = seededRandom(seed * 1_000_003 + at)
      const socket = await open(port)
      const frame = pick(random, pick(random, captures))
      socket.write(frame.subarray(0, random.below(frame.length)))
      return socket
    }),
  )
}

async function attack(task: HostileTask): Promise<HostileReport> {
  const { port, seed, durationMs, casesPerSecond } = task
  const failures: string[] = []
  const running = new Set<Promise<void>>()
  let wholeAnswered = 0
  const watched = async (name: string, work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      failures.push(`${name}: ${String(error)}`)
    }
  }
  const begin = (name: string, work: Promise<void>): void => {
    const done = watched(name, work)
    running.add(done)
    const forget = (): boolean => running.delete(done)
    done.then(forget, forget)
  }
  const startMs = performance.now()
  const held = await hold(task)
  let cases = 0
  for (; performance.now() - startMs < durationMs; cases++) {
    begin(`case ${cases}`, runCase(port, seededRandom(seed * 1_000_003 - cases)))
    if (cases % 20 === 0)
      begin(
        `whole ${cases}`,
        runWhole(port).then(() => void wholeAnswered++),
      )
    await sleep(1_000 / casesPerSecond)
  }
  await Promise.all(running)
  for (const socket of held) socket.destroy()
  return { cases, wholeAnswered, held: held.length, failures }
}

if (parentPort) parentPort.postMessage(await attack(workerData as HostileTask))
