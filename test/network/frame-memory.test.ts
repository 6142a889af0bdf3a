import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { FrameMemory } from '../../src/network/frame-memory.ts'
import { framed } from './frames.ts'
import { startServer } from './served.ts'

const kibibyte = 1024

test('memory of a frame is used again once all who retained it have released it', () => {
  const pool = new BlockPool({ limitBytes: 4 * 1024 * kibibyte })
  const memory = FrameMemory.take(pool, 300 * kibibyte, 64 * kibibyte)!
  memory.retain()
  memory.release()
  assert.equal(pool.usedBytes, 0)
  memory.release()
  assert.equal(FrameMemory.take(pool, 300 * kibibyte, 64 * kibibyte)!.bytes, memory.bytes)
})

for (const [what, sizeBytes, presentBytes] of [
  ['a small frame', 64 * kibibyte, 64 * kibibyte],
  ['an enormous frame', 2 * 1024 * kibibyte + 1, 64 * kibibyte],
  ['a frame of which little has come', 300 * kibibyte, 16 * kibibyte - 1],
] as const) {
  test(`${what} has memory of its own`, () => {
    assert.equal(FrameMemory.take(new BlockPool({ limitBytes: 0 }), sizeBytes, presentBytes), undefined)
  })
}

for (const firstBytes of [5, 17 * kibibyte, 40 * kibibyte, 64 * kibibyte]) {
  test(`a frame that has its memory counts whole, wherever it is and however it came (first ${firstBytes} bytes)`, async (t) => {
    const served = await startServer(t, { blocks: new BlockPool({ limitBytes: 16 * 1024 * kibibyte }) })
    const client = await served.connect()
    const frame = framed(Buffer.alloc(700 * kibibyte))
    await client.sendBytes(frame.subarray(0, firstBytes))
    const usedBytes = (): number => served.memory.usedBytesOf('request')
    assert.equal(usedBytes(), firstBytes > 16 * kibibyte ? frame.length : firstBytes)
    for (let at = firstBytes; at < frame.length; at += 9 * kibibyte) {
      await client.sendBytes(frame.subarray(at, at + 9 * kibibyte))
      assert.ok(usedBytes() <= frame.length + 64 * kibibyte, `${usedBytes()}`)
    }
    assert.equal(served.started.length, 1)
    assert.equal(usedBytes(), frame.length)
    await client.sendBytes(frame.subarray(0, 20 * kibibyte))
    assert.equal(usedBytes(), frame.length * 2)
    client.socket.destroy()
    served.started[0]!.answer('')
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(served.memory.usedBytes, 0)
  })
}

test('where memory is short a frame has only so much as has come of it', async (t) => {
  const memory = new MemoryBudget({ limitBytes: 1024 * kibibyte, linkShareBytes: 0 })
  const served = await startServer(t, { memory, blocks: new BlockPool({ limitBytes: 0 }) })
  for (let count = 0; count < 10; count++) {
    const client = await served.connect()
    await client.sendBytes(framed(Buffer.alloc(300 * kibibyte)).subarray(0, 20 * kibibyte))
  }
  assert.equal(memory.usedBytesOf('request'), 2 * (300 * kibibyte + 4) + 8 * 20 * kibibyte)
})

test('frames that a handler released are read over, others never', async (t) => {
  const blocks = new BlockPool({ limitBytes: 16 * 1024 * kibibyte })
  const frames: Uint8Array[] = []
  const served = await startServer(t, {
    blocks,
    handler: (frame, call) => {
      frames.push(frame)
      if (frames.length % 2 === 0) call.memory?.release()
      return Promise.resolve(undefined)
    },
  })
  const client = await served.connect()
  for (let fill = 0; fill < 6; fill++) {
    client.socket.write([framed(Buffer.alloc(200 * kibibyte, fill))])
    while (frames.length === fill) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.deepEqual(
    frames.map((frame) => frame[100_000]),
    [0, 2, 2, 4, 4, 5],
  )
})
