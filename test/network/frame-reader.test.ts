import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { FrameError, FrameReader, type FrameReaderOptions } from '../../src/network/frame-reader.ts'

const megabyte = 1024 * 1024

interface Opened {
  readonly reader: FrameReader
  readonly frames: Buffer[]
}

function open(memoryFor?: FrameReaderOptions['memoryFor']): Opened {
  const frames: Buffer[] = []
  const onFrame = (frame: Uint8Array): void => void frames.push(Buffer.from(frame))
  const ready = memoryFor && { memoryFor }
  return { reader: new FrameReader({ frameMaxBytes: 100 * megabyte, onFrame, ...ready }), frames }
}

/** Reads as a socket does: into the room, as much as there is. */
function read(reader: FrameReader, bytes: Uint8Array): void {
  const room = reader.room()
  assert.ok(room.length >= bytes.length && room.length > 0)
  room.set(bytes)
  reader.filled(bytes.length)
}

function framed(...bodies: readonly Uint8Array[]): Buffer {
  return Buffer.concat(bodies.flatMap((body) => [sizeOf(body.length), body]))
}

function sizeOf(sizeBytes: number): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(sizeBytes)
  return size
}

const bodyOf = (sizeBytes: number): Buffer => Buffer.alloc(sizeBytes, `${sizeBytes}.`)

test('frames are the same wherever the bytes are cut', () => {
  const bodies = [bodyOf(0), bodyOf(1), bodyOf(30), bodyOf(0), bodyOf(5)]
  const bytes = framed(...bodies)
  for (let cut = 1; cut < bytes.length; cut++) {
    const { reader, frames } = open()
    for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) reader.push(part)
    assert.deepEqual(frames, bodies, `cut at ${cut}`)
  }
})

for (const seed of [1, 2, 3, 4, 5]) {
  test(`frames are the same however much is read at once (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const bodies = Array.from({ length: 60 }, () =>
      bodyOf(random.below(2) === 0 ? random.below(200) : random.below(300_000)),
    )
    const bytes = framed(...bodies)
    const { reader, frames } = open()
    for (let from = 0; from < bytes.length;) {
      const most = Math.min(reader.room().length, bytes.length - from)
      const count = 1 + random.below(random.below(3) === 0 ? most : Math.min(most, 5_000))
      read(reader, bytes.subarray(from, from + count))
      from += count
    }
    assert.deepEqual(frames, bodies)
  })
}

test('a frame is read to where it stays', () => {
  const body = bodyOf(500_000)
  const memory = Buffer.alloc(megabyte)
  const seen: Uint8Array[] = []
  const reader = new FrameReader({
    frameMaxBytes: megabyte,
    memoryFor: () => memory,
    onFrame: (frame) => seen.push(frame),
  })
  read(reader, sizeOf(body.length))
  assert.equal(reader.room().length, body.length, 'and nothing of the next one')
  read(reader, body)
  assert.equal(seen[0]?.buffer, memory.buffer)
  assert.ok(body.equals(seen[0]))
})

test('a claimed size takes no memory: it grows with what comes', () => {
  const { reader, frames } = open()
  read(reader, sizeOf(10 * megabyte))
  assert.ok(reader.room().buffer.byteLength <= 4 * 1024)
  const body = bodyOf(10 * megabyte)
  reader.push(body.subarray(0, megabyte))
  assert.ok(reader.room().buffer.byteLength <= 2 * megabyte)
  reader.push(body.subarray(megabyte))
  assert.ok(frames[0]?.equals(body))
})

test('memory that is ready later takes what is there of the frame', () => {
  const memory = Buffer.alloc(megabyte)
  const asked: number[] = []
  const { reader, frames } = open((_sizeBytes, presentBytes) => {
    asked.push(presentBytes)
    return asked.length === 1 ? undefined : memory
  })
  const body = bodyOf(500_000)
  reader.push(framed(body).subarray(0, 1_004))
  for (let from = 1_000; from < body.length; from += 1_000) reader.push(body.subarray(from, from + 1_000))
  assert.deepEqual(asked, [1_000, 4 * 1024])
  assert.ok(frames[0]?.equals(body) && memory.subarray(0, body.length).equals(body))
})

test('connections that read in turns do not see bytes of each other', () => {
  const opened = [open(), open()]
  const bodies = [bodyOf(10), bodyOf(90_000)]
  const bytes = framed(...bodies)
  for (let from = 0; from < bytes.length;) {
    const part = bytes.subarray(from, from + Math.min(7, opened[0]!.reader.room().length))
    for (const { reader } of opened) read(reader, part)
    from += part.length
  }
  for (const { frames } of opened) assert.deepEqual(frames, bodies)
})

test('a frame of exactly the limit is taken', () => {
  const frames: number[] = []
  const reader = new FrameReader({ frameMaxBytes: 10, onFrame: (frame) => frames.push(frame.length) })
  reader.push(framed(bodyOf(10)))
  assert.deepEqual(frames, [10])
})

for (const sizeBytes of [-1, 100 * megabyte + 1]) {
  test(`a frame of ${sizeBytes} bytes is none`, () => {
    const { reader } = open()
    assert.throws(() => read(reader, sizeOf(sizeBytes)), FrameError)
  })
}
