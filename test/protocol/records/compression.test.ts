import assert from 'node:assert/strict'
import test from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync, compressSync as lz4BlockOf } from 'lz4-napi'
import { compressSync as rawSnappyOf } from 'snappy'
import { compressions, RecordsError, type RecordsErrorCode } from '../../../protocol/records/batch.ts'
import { compress, decompress } from '../../../protocol/records/compression.ts'
import { xxhash32 } from '../../../protocol/records/xxhash32.ts'

const mebibyte = 1_048_576
const text = Buffer.from('a line that repeats, and repeats; '.repeat(6_000)) // 204,000 bytes: several blocks of each codec
const codecs = compressions.filter((compression) => compression !== 'none')

for (const compression of compressions) {
  test(`what was compressed with ${compression} decompresses to the same bytes`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.integer({ min: 1, max: 100 }), (bytes, times) => {
        const content = Buffer.concat(Array.from({ length: times }, () => bytes))
        assert.ok(content.equals(decompress(compression, compress(compression, content), mebibyte)))
      }),
      { numRuns: 40 },
    )
  })

  test(`${compression} content of exactly the limit passes, and one byte more is refused`, () => {
    const compressed = compress(compression, text)
    assert.equal(decompress(compression, compressed, text.length).length, text.length)
    refuses('TOO_LARGE', () => decompress(compression, compressed, text.length - 1))
    refuses('TOO_LARGE', () => decompress(compression, compressed, 0))
  })
}

for (const compression of codecs) {
  test(`${compression} cut at any byte is refused or gives a beginning that the record count will not match`, () => {
    const content = text.subarray(0, 90_000)
    const compressed = compress(compression, content)
    for (let end = 0; end < compressed.length; end += compressed.length > 2_000 ? 13 : 1) {
      const found = recordsErrorOf(() => {
        const partial = decompress(compression, compressed.subarray(0, end), mebibyte)
        assert.ok(partial.length < content.length) // snappy's stream may end behind any chunk, zstd's before the first frame
        assert.ok(compression === 'snappy' || partial.length === 0)
      })
      assert.ok(found === undefined || found.code === 'CORRUPT', found?.message)
    }
  })

  test(`${compression} with any byte changed gives bytes within the limit or a RecordsError`, () => {
    const compressed = compress(compression, text)
    fc.assert(
      fc.property(fc.nat({ max: compressed.length - 1 }), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const changed = Uint8Array.from(compressed)
        changed[position]! ^= change
        recordsErrorOf(() => assert.ok(decompress(compression, changed, text.length).length <= text.length))
      }),
      { numRuns: 300 },
    )
  })

  test(`${compression} reads any bytes without another error than RecordsError`, () => {
    const starts = {
      gzip: '1f8b08',
      snappy: '82534e415050590000000001',
      lz4: '04224d186040',
      zstd: '28b52ffd',
      none: '',
    }
    const start = Buffer.from(starts[compression], 'hex')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isLikely) => {
        const input = isLikely ? Buffer.concat([start, bytes]) : bytes
        recordsErrorOf(() => assert.ok(decompress(compression, input, 10_000).length <= 10_000))
      }),
      { numRuns: 500 },
    )
  })
}

const bombs: Record<string, { codec: (typeof codecs)[number]; make: () => Uint8Array }> = {
  'gzip of 16 members of 16 MiB': { codec: 'gzip', make: () => repeat(gzipSync(Buffer.alloc(16 * mebibyte)), 16) },
  'zstd of 8,192 blocks that repeat a byte': { codec: 'zstd', make: () => zstdOfRepeats(8_192) },
  'zstd that claims 2^62 bytes': {
    codec: 'zstd',
    make: () => Buffer.from('28b52ffde00000000000000040010000', 'hex'),
  },
  'lz4 of 256 blocks of 4 MiB': {
    codec: 'lz4',
    make: () => lz4Frame({ blocks: Array(256).fill(lz4Zeros()), blockId: 7 }),
  },
  'lz4 that claims 2^62 bytes': { codec: 'lz4', make: () => lz4Frame({ blocks: [], contentSize: 2n ** 62n }) },
  'snappy of 256 chunks of 1 MiB': {
    codec: 'snappy',
    make: () => xerial(Array(256).fill(rawSnappyOf(Buffer.alloc(mebibyte)))),
  },
  'raw snappy that claims 4 GiB': { codec: 'snappy', make: () => Buffer.from('ffffffff0f', 'hex') },
}
for (const [name, { codec, make }] of Object.entries(bombs)) {
  test(`a bomb is refused at the limit, and no more is allocated: ${name}`, () => {
    const bomb = make()
    const before = process.resourceUsage().maxRSS
    refuses('TOO_LARGE', () => decompress(codec, bomb, mebibyte))
    const grownKibibytes = process.resourceUsage().maxRSS - before
    assert.ok(grownKibibytes < 64 * 1_024, `the process grew by ${grownKibibytes} KiB`)
  })
}

test('a small input that claims a size it cannot hold is refused before that size is allocated', () => {
  const claim = Buffer.from('ffffffff0f00', 'hex')
  assert.throws(() => decompress('snappy', claim, 2 ** 33), {
    code: 'CORRUPT',
    message: /6 bytes claim to hold 4294967295/,
  })
})

test('gzip members in a row are one content', () => {
  assert.equal(textOf(decompress('gzip', Buffer.concat([gzipSync('one '), gzipSync('two')]), 7)), 'one two')
  refuses('TOO_LARGE', () => decompress('gzip', Buffer.concat([gzipSync('one '), gzipSync('two')]), 6))
})

test('zstd frames in a row are one content, with skippable frames between them', () => {
  const skippable = Buffer.from('512a4d1803000000ffffff', 'hex')
  const stream = Buffer.concat([zstdCompressSync('one '), skippable, zstdCompressSync(''), zstdCompressSync('two')])
  assert.equal(textOf(decompress('zstd', stream, 7)), 'one two')
  refuses('TOO_LARGE', () => decompress('zstd', stream, 6))
})

test('zstd frames without number are refused', () => {
  refuses('CORRUPT', () => decompress('zstd', repeat(zstdCompressSync(''), 1_001), mebibyte))
})

test('snappy is read raw, as librdkafka and Go clients send it', () => {
  assert.equal(textOf(decompress('snappy', rawSnappyOf('raw'), 3)), 'raw')
})

test('snappy streams in a row are one content', () => {
  const stream = Buffer.concat([xerial([rawSnappyOf('one '), rawSnappyOf('two ')]), xerial([rawSnappyOf('three')])])
  assert.equal(textOf(decompress('snappy', stream, 13)), 'one two three')
})

test('snappy chunks of a negative size or beyond the stream, and streams of version 0, are refused', () => {
  const stream = xerial([rawSnappyOf('one')])
  refuses('CORRUPT', () => decompress('snappy', patched(stream, 16, [0xff, 0xff, 0xff, 0xff]), mebibyte))
  refuses('CORRUPT', () => decompress('snappy', patched(stream, 16, [0, 0, 0, 200]), mebibyte))
  refuses('CORRUPT', () => decompress('snappy', patched(stream, 11, [0]), mebibyte))
})

for (let flags = 0; flags < 8; flags++) {
  const options = { blockChecksums: (flags & 1) !== 0, contentChecksum: (flags & 2) !== 0, hasSize: (flags & 4) !== 0 }
  test(`an LZ4 frame is read, and a wrong byte found, with ${JSON.stringify(options)}`, () => {
    const blocks = [Buffer.from('first '), Buffer.from('second '), Buffer.from('third')]
    const whole = Buffer.concat(blocks)
    const frame = lz4Frame({
      blocks: blocks.map((block, i) => (i === 1 ? { stored: block } : lz4BlockOf(block).subarray(4))),
      blockChecksums: options.blockChecksums,
      ...(options.contentChecksum ? { contentChecksum: xxhash32(whole) } : {}),
      ...(options.hasSize ? { contentSize: BigInt(whole.length) } : {}),
    })
    assert.equal(textOf(decompress('lz4', frame, whole.length)), 'first second third')
    if (options.blockChecksums || options.contentChecksum) {
      const at = frame.indexOf('second')
      refuses('CORRUPT', () => decompress('lz4', patched(frame, at, [0x53]), whole.length))
    }
    if (options.hasSize) {
      const other = lz4Frame({ blocks: [{ stored: whole }], contentSize: BigInt(whole.length + 1) })
      refuses('CORRUPT', () => decompress('lz4', other, mebibyte))
    }
    refuses('CORRUPT', () => decompress('lz4', Buffer.concat([frame, Buffer.of(0)]), mebibyte))
    for (let end = 0; end < frame.length; end++) {
      refuses('CORRUPT', () => decompress('lz4', frame.subarray(0, end), mebibyte))
    }
  })
}

for (const blockId of [4, 5, 6, 7]) {
  test(`an LZ4 block may be as large as the frame's block size id ${blockId} says, and no larger`, () => {
    const sizeBytes = 1 << (8 + 2 * blockId)
    const fits = lz4BlockOf(Buffer.alloc(sizeBytes)).subarray(4)
    const over = lz4BlockOf(Buffer.alloc(sizeBytes + 1)).subarray(4)
    assert.equal(decompress('lz4', lz4Frame({ blocks: [fits], blockId }), 8 * mebibyte).length, sizeBytes)
    refuses('CORRUPT', () => decompress('lz4', lz4Frame({ blocks: [over], blockId }), 8 * mebibyte))
    refuses('CORRUPT', () =>
      decompress('lz4', lz4Frame({ blocks: [{ stored: Buffer.alloc(sizeBytes + 1) }], blockId }), 8 * mebibyte),
    )
  })
}

test('LZ4 frames of another implementation are read, with and without checksums', () => {
  for (const blockChecksums of [false, true]) {
    for (const contentChecksum of [false, true]) {
      const frame = compressFrameSync(text, { blockChecksums, contentChecksum })
      assert.ok(text.equals(decompress('lz4', frame, mebibyte)))
    }
  }
})

test('LZ4 frames that Kafka cannot read are refused as such', () => {
  refuses('UNSUPPORTED_COMPRESSION', () => decompress('lz4', lz4Frame({ blocks: [], flags: 0x40 }), mebibyte)) // linked
  refuses('UNSUPPORTED_COMPRESSION', () => decompress('lz4', lz4Frame({ blocks: [], flags: 0x61 }), mebibyte)) // dictionary
})

test('LZ4 headers with a wrong magic, version, reserved bit, block size or checksum are refused', () => {
  const frame = lz4Frame({ blocks: [] })
  assert.equal(decompress('lz4', frame, 10).length, 0)
  refuses('CORRUPT', () => decompress('lz4', patched(frame, 0, [0x05]), mebibyte))
  refuses('CORRUPT', () => decompress('lz4', patched(frame, 6, [frame[6]! ^ 1]), mebibyte))
  for (const flags of [0x20, 0xa0, 0x62])
    refuses('CORRUPT', () => decompress('lz4', lz4Frame({ blocks: [], flags }), mebibyte))
  for (const blockId of [0, 3, 8, 12])
    refuses('CORRUPT', () => decompress('lz4', lz4Frame({ blocks: [], blockId }), mebibyte))
})

test('the LZ4 frames written here begin and end like those of Java clients', () => {
  const frame = Buffer.from(compress('lz4', Buffer.from('ab')))
  assert.equal(frame.toString('hex'), '04224d18604082' + '02000080' + '6162' + '00000000') // too short to shrink: stored
})

test('xxHash-32 gives the values of its specification', () => {
  assert.equal(xxhash32(new Uint8Array(0)), 0x02cc5d05)
  assert.equal(xxhash32(Buffer.from('a')), 0x550d7456)
  assert.equal(xxhash32(Buffer.from('abc')), 0x32d153ff)
  assert.equal(xxhash32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f)
})

function refuses(code: RecordsErrorCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof RecordsError && error.code === code, `expected ${code}`)
}

function recordsErrorOf(run: () => void): RecordsError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof RecordsError) return error
    throw error
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

function repeat(bytes: Uint8Array, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes))
}

function patched(bytes: Uint8Array, position: number, patch: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy.set(patch, position)
  return copy
}

/** A frame of a 128 KiB window, and blocks that each repeat a zero 131,072 times. */
function zstdOfRepeats(blocks: number): Uint8Array {
  const block = Buffer.from([0x02, 0x00, 0x10, 0x00])
  const last = Buffer.from([0x03, 0x00, 0x10, 0x00])
  return Buffer.concat([Buffer.from('28b52ffd0038', 'hex'), repeat(block, blocks - 1), last])
}

function lz4Zeros(): Uint8Array {
  return lz4BlockOf(Buffer.alloc(4 * mebibyte)).subarray(4)
}

function lz4Frame(options: {
  readonly blocks: readonly (Uint8Array | { readonly stored: Uint8Array })[]
  readonly blockChecksums?: boolean
  readonly contentChecksum?: number
  readonly contentSize?: bigint
  readonly blockId?: number
  readonly flags?: number
}): Buffer {
  const { blocks, blockChecksums = false, contentChecksum, contentSize, blockId = 4 } = options
  const checked = (blockChecksums ? 0x10 : 0) | (contentChecksum === undefined ? 0 : 0x04)
  const flags = options.flags ?? 0x60 | checked | (contentSize === undefined ? 0 : 0x08)
  const sizeField = Buffer.alloc(contentSize === undefined ? 0 : 8)
  if (contentSize !== undefined) sizeField.writeBigUInt64LE(contentSize)
  const descriptor = Buffer.concat([Buffer.of(flags, blockId << 4), sizeField])
  const parts = [uint32(0x184d2204), descriptor, Buffer.of((xxhash32(descriptor) >>> 8) & 0xff)]
  for (const block of blocks) {
    const bytes = 'stored' in block ? block.stored : block
    parts.push(uint32('stored' in block ? bytes.length + 0x8000_0000 : bytes.length), Buffer.from(bytes))
    if (blockChecksums) parts.push(uint32(xxhash32(bytes)))
  }
  parts.push(uint32(0))
  if (contentChecksum !== undefined) parts.push(uint32(contentChecksum))
  return Buffer.concat(parts)
}

function xerial(chunks: readonly Uint8Array[]): Buffer {
  const parts = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (const chunk of chunks) {
    const size = Buffer.alloc(4)
    size.writeInt32BE(chunk.length)
    parts.push(size, Buffer.from(chunk))
  }
  return Buffer.concat(parts)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
