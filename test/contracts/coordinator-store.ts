/** What every coordinator store promises. `open` after a `close` is a restart. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CoordinatorKind, CoordinatorRecord, CoordinatorStore } from '../../src/coordinators/coordinator-store.ts'

export interface OpenCoordinatorStore {
  readonly store: CoordinatorStore
  readonly close: () => Promise<void>
}

export interface CoordinatorEngine {
  open(): Promise<OpenCoordinatorStore>
}

const fence = { lease: 'test', fenceEpoch: 1n }

export function recordOf(key: string, value: string | null = `value of ${key}`): CoordinatorRecord {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
}

export async function textsOf(store: CoordinatorStore, kind: CoordinatorKind, shard: number): Promise<string[]> {
  const texts: string[] = []
  for await (const records of store.load(kind, shard))
    for (const { key, value } of records)
      texts.push(`${Buffer.from(key).toString()}=${value === null ? 'null' : Buffer.from(value).toString()}`)
  return texts
}

async function append(store: CoordinatorStore, shard: number, records: readonly CoordinatorRecord[]): Promise<void> {
  const result = await store.append('group', shard, records, fence)
  assert(result.ok, result.ok ? '' : result.message)
}

/** Runs the suite. Keys are never repeated, so that compaction takes nothing away. */
export function coordinatorStoreContract(name: string, engineOf: (t: TestContext) => CoordinatorEngine): void {
  test(`${name}: a shard that was never written is empty`, async (t) => {
    const { store, close } = await engineOf(t).open()
    assert.deepEqual(await textsOf(store, 'group', 0), [])
    await close()
  })

  test(`${name}: records come back in order, with tombstones, in their own shard and kind only`, async (t) => {
    const { store, close } = await engineOf(t).open()
    await append(store, 3, [recordOf('a'), recordOf('b', null)])
    await append(store, 3, [recordOf('c', '')])
    await append(store, 4, [recordOf('d')])
    assert.deepEqual(await textsOf(store, 'group', 3), ['a=value of a', 'b=null', 'c='])
    assert.deepEqual(await textsOf(store, 'group', 4), ['d=value of d'])
    assert.deepEqual(await textsOf(store, 'transaction', 3), [])
    await close()
  })

  test(`${name}: appends that were called at once take effect in the order of the calls`, async (t) => {
    const { store, close } = await engineOf(t).open()
    await append(store, 1, [recordOf('first')])
    await Promise.all(Array.from({ length: 50 }, (_, index) => append(store, 1, [recordOf(`k${index}`, '')])))
    const expected = ['first=value of first', ...Array.from({ length: 50 }, (_, index) => `k${index}=`)]
    assert.deepEqual(await textsOf(store, 'group', 1), expected)
    await close()
  })

  test(`${name}: the first appends of many shards may come at once`, async (t) => {
    const { store, close } = await engineOf(t).open()
    const shards = Array.from({ length: 50 }, (_, shard) => shard)
    await Promise.all(shards.map((shard) => append(store, shard, [recordOf(`of ${shard}`, '')])))
    for (const shard of shards) assert.deepEqual(await textsOf(store, 'group', shard), [`of ${shard}=`])
    await close()
  })

  test(`${name}: what was answered is there after a restart`, async (t) => {
    const engine = engineOf(t)
    const first = await engine.open()
    await append(first.store, 7, [recordOf('a'), recordOf('b')])
    await append(first.store, 7, [recordOf('c')])
    await first.close()
    const second = await engine.open()
    const texts = await textsOf(second.store, 'group', 7)
    assert.deepEqual(texts, ['a=value of a', 'b=value of b', 'c=value of c'])
    await second.close()
  })

  test(`${name}: more than one read of records comes back whole`, async (t) => {
    const { store, close } = await engineOf(t).open()
    const value = 'x'.repeat(200_000)
    for (let index = 0; index < 12; index++) await append(store, 2, [recordOf(`big ${index}`, value)])
    assert.equal((await textsOf(store, 'group', 2)).length, 12)
    await close()
  })

  test(`${name}: an append without records is nothing, and one to a shard that is none is a failure`, async (t) => {
    const { store, close } = await engineOf(t).open()
    assert.equal((await store.append('group', 0, [], fence)).ok, true)
    assert.equal((await store.append('group', 50, [recordOf('a')], fence)).ok, false)
    assert.deepEqual(await textsOf(store, 'group', 50), [])
    await close()
  })
}
