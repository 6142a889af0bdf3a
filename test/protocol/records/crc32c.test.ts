import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { crc32c, crc32cOfTables } from '../../../protocol/crc32c.ts'

test('the checksum of the check string is the one of the CRC catalogue', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32cOfTables(Buffer.from('123456789')), 0xe3069283)
})

test('the checksums of 32 bytes are those of RFC 3720, appendix B.4', () => {
  const counting = Uint8Array.from({ length: 32 }, (_, index) => index)
  for (const sum of [crc32c, crc32cOfTables]) {
    assert.equal(sum(new Uint8Array(32)), 0x8a9136aa)
    assert.equal(sum(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
    assert.equal(sum(counting), 0x46dd794e)
    assert.equal(sum(counting.toReversed()), 0x113fdb5c)
  }
})

test('no bytes leave the checksum as it was', () => {
  assert.equal(crc32c(new Uint8Array(0)), 0)
  assert.equal(crc32c(new Uint8Array(0), 0xdeadbeef), 0xdeadbeef)
})

test('native code and tables agree on every length around their border, and from any start', () => {
  const bytes = Uint8Array.from({ length: 600 }, (_, i) => (i * 167 + (i >> 3)) & 0xff)
  for (let length = 0; length < bytes.length - 3; length++) {
    const part = bytes.subarray(length % 3, (length % 3) + length)
    assert.equal(crc32c(part), crc32cOfTables(part))
    assert.equal(crc32c(part, 0x80000001), crc32cOfTables(part, 0x80000001))
  }
})

test('a checksum in parts is that of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), fc.nat({ max: 700 }), (bytes, cut) => {
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes))
    }),
    { numRuns: 200 },
  )
})

test('a single changed bit changes the checksum', () => {
  const bytes = new Uint8Array(200).fill(7)
  const before = crc32c(bytes)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    assert.notEqual(crc32c(bytes), before)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
})
