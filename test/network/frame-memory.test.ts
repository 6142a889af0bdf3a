import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'
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
