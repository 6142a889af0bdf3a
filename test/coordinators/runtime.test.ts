import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CoordinatorRecord } from '../../src/coordinators/coordinator-store.ts'
import { CoordinatorRuntime, type CoordinatorMachine, type Outcome } from '../../src/coordinators/runtime.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { SimulatedClock } from '../../src/environment/simulated-clock.ts'
import { KafkaError } from '../../src/errors.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { MemoryCoordinatorStore } from '../support/memory-coordinator-store.ts'

/** A shard of words. A timer says a word; whoever waits is told why the shard ended. */
interface Words {
  readonly said: string[]
  readonly waiting: ((error: string) => void)[]
}

class WordMachine implements CoordinatorMachine<Words, string> {
  readonly kind = 'group'
  create(): Words {
    return { said: [], waiting: [] }
  }
  replay({ key }: CoordinatorRecord, state: Words): void {
    state.said.push(Buffer.from(key).toString())
  }
  loaded(): void {}
  fired(event: string): Outcome<void> {
    return say(event)
  }
  unloaded(state: Words, error: string): void {
    for (const waiter of state.waiting) waiter(error)
  }
}

function word(text: string): CoordinatorRecord {
  return { key: Buffer.from(text), value: null }
}

function say(text: string): Outcome<void> {
  return { records: [word(text)], response: undefined }
}

async function openRuntime(store = new MemoryCoordinatorStore(), shardCount = 2) {
  const clock = new SimulatedClock(nodeClock)
  const deadlines = new DeadlineQueue(clock)
  const parts = { machine: new WordMachine(), store, deadlines, logger: silentLogger, shardCount }
  const runtime = new CoordinatorRuntime(parts)
  await runtime.loadAll()
  const said = (shard = 0): string[] => runtime.read(shard, (state) => [...state.said])
  return { runtime, store, clock, said, settle: () => clock.settle() }
}

function isKafkaError(name: string): (error: unknown) => boolean {
  return (error) => error instanceof KafkaError && error.errorName === name
}

test('an answer leaves, and readers see records, only once they are committed', async () => {
  const { runtime, store, said, settle } = await openRuntime()
  store.fate = () => 'hold'
  let answer: string | undefined
  const write = runtime.write(0, () => ({ records: [word('a')], response: 'done' })).then((text) => (answer = text))
  await settle()
  assert.deepEqual([answer, said()], [undefined, []])
  store.release()
  await write
  assert.deepEqual([answer, said()], ['done', ['a']])
})

test('an exclusive operation waits for what is in flight, and what comes behind it waits for it', async () => {
  const { runtime, store, said, settle } = await openRuntime()
  await runtime.write(0, () => say('first'))
  store.fate = () => 'hold'
  const seen: string[][] = []
  const look = (state: Words): Outcome<void> => {
    seen.push([...state.said])
    return { response: undefined }
  }
  const writes = [
    runtime.write(0, () => say('a'), { isPipelined: true }),
    runtime.write(0, () => say('b'), { isPipelined: true }),
    runtime.write(0, look),
    runtime.write(0, () => say('c')),
    runtime.write(0, look, { isPipelined: true }),
  ]
  await settle()
  assert.deepEqual([store.heldCount, seen], [2, []])
  store.release()
  store.release()
  await settle()
  assert.deepEqual([seen, store.heldCount], [[['first', 'a', 'b']], 1])
  store.release()
  await Promise.all(writes)
  assert.deepEqual(seen[1], ['first', 'a', 'b', 'c'])
  assert.deepEqual(said(), ['first', 'a', 'b', 'c'])
})

test('the first append of a shard is alone, and shards do not wait for each other', async () => {
  const { runtime, store, settle } = await openRuntime()
  store.fate = () => 'hold'
  const writes = [0, 0, 1].map((shard) => runtime.write(shard, () => say('x'), { isPipelined: true }))
  await settle()
  assert.equal(store.heldCount, 2)
  for (let index = 0; index < 3; index++) {
    store.release()
    await settle()
  }
  await Promise.all(writes)
})

test('a failed append changes nothing: neither replay nor commit runs, and the next operation sees the state as it was', async () => {
  const { runtime, store, said } = await openRuntime()
  store.fate = () => 'STORAGE_FAILED'
  let committed = false
  const write = runtime.write(0, () => ({ ...say('a'), commit: () => void (committed = true) }))
  await assert.rejects(write, isKafkaError('NOT_COORDINATOR'))
  store.fate = () => 'write'
  await runtime.write(0, () => say('b'))
  assert.deepEqual([said(), committed], [['b'], false])
})

test('an operation may answer in its own way when its records could not be written', async () => {
  const { runtime, store } = await openRuntime()
  store.fate = () => 'BUSY'
  const answer = await runtime.write(0, () => ({
    records: [word('a')],
    response: 'done',
    abort: (error) => `aborted: ${error}`,
  }))
  assert.equal(answer, 'aborted: COORDINATOR_NOT_AVAILABLE')
})

test('what could not be known is read again: the records may be there', async () => {
  const { runtime, store, said, settle } = await openRuntime()
  store.fate = () => 'TIMED_OUT'
  store.records.set('group-0', [word('a')]) // it was written, and nobody heard of it
  await assert.rejects(
    runtime.write(0, () => say('a')),
    isKafkaError('COORDINATOR_NOT_AVAILABLE'),
  )
  await settle()
  assert.deepEqual(said(), ['a'])
})

test('an operation that throws rejects alone, and the shard goes on', async () => {
  const { runtime, said } = await openRuntime()
  const failing = runtime.write(0, () => {
    throw new KafkaError('ILLEGAL_GENERATION')
  })
  const next = runtime.write(0, () => say('b'))
  await assert.rejects(failing, isKafkaError('ILLEGAL_GENERATION'))
  await next
  assert.deepEqual(said(), ['b'])
})

test('a shard that is being loaded says so, and is never taken for an empty one', async () => {
  const store = new MemoryCoordinatorStore(new Map([['group-0', [word('a')]]]))
  const { runtime, said } = await openRuntime(store)
  const loading = runtime.load(0)
  assert.throws(() => said(), isKafkaError('COORDINATOR_LOAD_IN_PROGRESS'))
  await assert.rejects(
    runtime.write(0, () => say('b')),
    isKafkaError('COORDINATOR_LOAD_IN_PROGRESS'),
  )
  await loading
  assert.deepEqual(said(), ['a'])
})

test('a shard that moved away answers NOT_COORDINATOR to all who wait in it and all who come', async () => {
  const { runtime, store, settle } = await openRuntime()
  await runtime.write(0, () => say('first'))
  store.fate = () => 'hold'
  const waiter = new Promise<string>((resolve) => {
    runtime.read(0, (state) => state.waiting.push(resolve))
  })
  const writes = [runtime.write(0, () => say('in flight')), runtime.write(0, () => say('queued'))]
  const rejected = Promise.all(writes.map((write) => assert.rejects(write, isKafkaError('NOT_COORDINATOR'))))
  await settle()
  const unloaded = runtime.unload(0)
  await rejected
  assert.equal(await waiter, 'NOT_COORDINATOR')
  assert.throws(() => runtime.read(0, () => undefined), isKafkaError('NOT_COORDINATOR'))
  assert.deepEqual(runtime.activeShards(), [1])
  store.release()
  await settle()
  await unloaded
  await runtime.load(0)
  assert.deepEqual(
    runtime.read(0, (state) => state.said),
    ['first', 'in flight'],
  )
})

test('a shard that can not be read is not served, and the others are', async () => {
  class HalfBroken extends MemoryCoordinatorStore {
    override async *load(kind: 'group' | 'transaction', shard: number): AsyncIterable<readonly CoordinatorRecord[]> {
      if (shard === 0) throw new Error('unreadable')
      yield* super.load(kind, shard)
    }
  }
  const { runtime } = await openRuntime(new HalfBroken())
  assert.deepEqual(runtime.activeShards(), [1])
  assert.throws(() => runtime.read(0, () => undefined), isKafkaError('NOT_COORDINATOR'))
})

test('a timer is an operation: it runs when it is due, unless it was cancelled or set anew, also in the queue', async () => {
  const { runtime, store, said, clock } = await openRuntime()
  await runtime.write(0, (_state, timers) => {
    timers.set('a', 10, 'a')
    timers.set('b', 10, 'b')
    timers.set('c', 10, 'c')
    timers.set('d', 10, 'd')
    timers.cancel('b')
    timers.set('c', 20, 'c later')
    return { response: undefined }
  })
  await clock.advance(9)
  assert.deepEqual(said(), [])
  store.fate = () => 'hold'
  const busy = runtime.write(0, (_state, timers) => ({ ...say('busy'), commit: () => timers.cancel('d') }))
  await clock.advance(1) // a and d are due, behind the operation that cancels d
  store.fate = () => 'write'
  store.release()
  await busy
  await clock.advance(10)
  assert.deepEqual(said(), ['busy', 'a', 'c later'])
})

test('timers of a shard that moved away do not run, also when it comes back', async () => {
  const { runtime, said, clock } = await openRuntime()
  await runtime.write(0, (_state, timers) => {
    timers.set('a', 10, 'a')
    return { response: undefined }
  })
  await runtime.unload(0)
  await runtime.load(0)
  await clock.advance(20)
  assert.deepEqual(said(), [])
})
