import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameAssembler } from '../../src/network/frame-assembler.ts'
import { framed } from './frames.ts'

const frameMaxBytes = 1_000_000

function framesOf(assembler: FrameAssembler): Buffer[] {
  const frames: Buffer[] = []
  for (let frame = assembler.next(); frame; frame = assembler.next()) frames.push(Buffer.from(frame))
  return frames
}

function prefix(sizeBytes: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(sizeBytes)
  return bytes
}

test('a frame split at any byte comes out whole', () => {
  const stream = framed('hello, frames')
  for (let cut = 0; cut <= stream.length; cut++) {
    const assembler = new FrameAssembler(frameMaxBytes)
    assembler.push(stream.subarray(0, cut))
    if (cut < stream.length) assert.equal(assembler.next(), undefined)
    assembler.push(stream.subarray(cut))
    assert.deepEqual(framesOf(assembler), [Buffer.from('hello, frames')])
  }
})

test('frames that come together come out one by one, an empty one too', () => {
  const assembler = new FrameAssembler(frameMaxBytes)
  assembler.push(Buffer.concat([framed('one'), framed(''), framed('three'), framed('cut').subarray(0, 5)]))
  assert.deepEqual(framesOf(assembler), [Buffer.from('one'), Buffer.from(''), Buffer.from('three')])
  assert.equal(assembler.heldBytes, 1)
})

test('any frames in any pieces come out as they went in', () => {
  const property = fc.property(
    fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 8 }),
    fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 20 }),
    (frames, cuts) => {
      const stream = Buffer.concat(frames.map((frame) => framed(frame)))
      const assembler = new FrameAssembler(frameMaxBytes)
      const taken: Buffer[] = []
      for (let position = 0, index = 0; position < stream.length; index++) {
        const sizeBytes = cuts[index % cuts.length] ?? 1
        assembler.push(Uint8Array.from(stream.subarray(position, position + sizeBytes)))
        position += sizeBytes
        taken.push(...framesOf(assembler))
      }
      assert.deepEqual(
        taken,
        frames.map((frame) => Buffer.from(frame)),
      )
      assert.equal(assembler.heldBytes, 0)
    },
  )
  fc.assert(property, { numRuns: 50 })
})

test('a huge claimed size allocates nothing before the bytes are there', () => {
  const assembler = new FrameAssembler(2 ** 31 - 1)
  const beforeBytes = process.memoryUsage().arrayBuffers
  assembler.push(prefix(2 ** 31 - 1))
  assembler.push(new Uint8Array(1000))
  assert.equal(assembler.next(), undefined)
  assert.ok(process.memoryUsage().arrayBuffers - beforeBytes < 1_000_000)
  assert.equal(assembler.heldBytes, 1000)
})

for (const sizeBytes of [-1, -(2 ** 31), frameMaxBytes + 1, 2 ** 31 - 1]) {
  test(`a size of ${sizeBytes} is refused, with the limit in the message`, () => {
    const assembler = new FrameAssembler(frameMaxBytes)
    assembler.push(prefix(sizeBytes))
    assert.throws(
      () => assembler.next(),
      new RegExp(`got a frame of ${sizeBytes} bytes, expected 0 to ${frameMaxBytes}`),
    )
  })
}

test('a frame of exactly the limit is taken', () => {
  const assembler = new FrameAssembler(10)
  assembler.push(framed('0123456789'))
  assert.equal(framesOf(assembler).length, 1)
})

test('a frame shares the piece it came in only when it is at least half of it', () => {
  const assembler = new FrameAssembler(frameMaxBytes)
  const small = Uint8Array.from(Buffer.concat([framed('small'), framed(Buffer.alloc(50_000))]))
  assembler.push(small)
  assert.notEqual(assembler.next()?.buffer, small.buffer)
  assert.equal(assembler.next()?.buffer, small.buffer)
})

test('a frame in many pieces is put together in memory of its own size', () => {
  const assembler = new FrameAssembler(frameMaxBytes)
  const stream = framed(Buffer.alloc(200_000, 3))
  for (let position = 0; position < stream.length; position += 65_536) {
    assembler.push(Uint8Array.from(stream.subarray(position, position + 65_536)))
  }
  const frame = assembler.next()
  assert.equal(frame?.buffer.byteLength, 200_000)
  assert.ok(frame.every((byte) => byte === 3))
})

test('a sender of single bytes costs little more than its bytes', () => {
  const assembler = new FrameAssembler(frameMaxBytes)
  assembler.push(prefix(300_000))
  const pieceCounts: number[] = []
  for (let count = 0; count < 300_000; count++) {
    assembler.push(Uint8Array.of(count & 0xff))
    if (count % 1000 === 0) pieceCounts.push(assembler.pieceCount)
  }
  assert.ok(Math.max(...pieceCounts) < 60, `${Math.max(...pieceCounts)} pieces`)
  const frame = assembler.next()
  assert.equal(frame?.byteLength, 300_000)
  assert.ok(frame.every((byte, index) => byte === (index & 0xff)))
})
