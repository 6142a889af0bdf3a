import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from '../../protocol/compile.ts'
import { frameRequest, frameResponse, parseResponse, readRequestHeader } from '../../protocol/frame.ts'
import { JoinGroup } from '../../protocol/apis/join-group.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { elementMaxCount, Reader } from '../../protocol/reader.ts'
import { array, bytes, defineApi, int16, int32, int64, records, string, struct, uuid } from '../../protocol/schema.ts'
import type { RequestInput } from '../../protocol/schema.ts'
import { Writer } from '../../protocol/writer.ts'

const Sample = defineApi({
  name: 'Sample',
  key: 1000,
  versions: '0-3',
  flexible: '2+',
  request: {
    name: string('A name.'),
    since: int64('A time.', { versions: '1+', default: -1n }),
    parts: array(
      'Parts.',
      { index: int32('An index.'), data: records('Data.', { nullable: '0+' }) },
      { nullable: '1+' },
    ),
    ids: array('Ids.', 'uuid', { versions: '2+', ignorable: true }),
    rack: string('A rack.', { versions: '2+', nullable: '2+', default: null, tag: 1, taggedVersions: '2+' }),
    leader: struct('The leader.', { id: int32('An id.', { default: -1 }) }, { versions: '3+', tag: 0 }),
    cursor: struct('Where to go on.', { at: int16('At.') }, { versions: '3+', nullable: '3+', default: null }),
  },
  response: { errorCode: int16('A code.'), token: bytes('A token.', { versions: '1+', ignorable: true }) },
})

const NamesOfNames = defineApi({
  name: 'NamesOfNames',
  key: 1001,
  versions: '0',
  flexible: 'none',
  request: { topics: array('Topics.', { name: string('A name.'), aliases: array('Aliases.', 'string') }) },
  response: {},
})

const hex = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('hex')

function encoded(version: number, value: RequestInput<typeof Sample>): Uint8Array {
  const writer = new Writer()
  encodeRequest(Sample, version, value, writer)
  return writer.toBytes()
}

test('a version before the flexible ones has 2- and 4-byte lengths and no tags', () => {
  const bytes = encoded(1, { name: 'ab', since: 258n, parts: [{ index: 7, data: [Uint8Array.of(9)] }], ids: [] })
  assert.equal(hex([bytes]), '0002' + '6162' + '0000000000000102' + '00000001' + '00000007' + '00000001' + '09')
})

test('a flexible version has compact lengths, and tagged fields in the order of their tags', () => {
  const value = { name: 'ab', parts: null, ids: [], rack: 'r', leader: { id: 3 }, cursor: { at: 5 } }
  const bytes = encoded(3, value)
  assert.equal(
    hex([bytes]),
    '03' +
      '6162' +
      'ffffffffffffffff' +
      '00' +
      '01' +
      '01' +
      '0005' +
      '00' +
      '02' +
      '00' +
      '05' +
      '00000003' +
      '00' +
      '01' +
      '02' +
      '0272',
  )
  assert.deepEqual(decodeRequest(Sample, 3, new Reader(bytes)), { ...value, since: -1n })
})

test('fields that a version lacks are read as their defaults', () => {
  const bytes = encoded(0, { name: '', parts: [], ids: [] })
  assert.deepEqual(decodeRequest(Sample, 0, new Reader(bytes)), {
    name: '',
    since: -1n,
    parts: [],
    ids: [],
    rack: null,
    leader: { id: -1 },
    cursor: null,
  })
})

test('a value that a version cannot carry throws, unless it may be dropped', () => {
  assert.throws(() => encoded(0, { name: '', since: 5n, parts: [], ids: [] }), /field since has a value/)
  assert.doesNotThrow(() => encoded(0, { name: '', parts: [], ids: ['AAAAAAAAAAAAAAAAAAAAAQ'] }))
  assert.throws(() => encoded(0, { name: '', parts: null, ids: [] }))
})

test('a member without a default must be there', () => {
  const value = { name: 'x' } as unknown as RequestInput<typeof Sample>
  assert.throws(() => encoded(1, value), /field parts is missing/)
})

test('unknown tagged fields are skipped', () => {
  const bytes = Buffer.from('01' + '0000000000000000' + '01' + '01' + '02' + '05' + '01ff' + '09' + '02abcd', 'hex')
  const value = decodeRequest(Sample, 2, new Reader(bytes))
  assert.equal(value.since, 0n)
  assert.equal(value.rack, null)
})

test('numbers that their type cannot hold are refused, not cut', () => {
  assert.throws(() => encoded(0, { name: '', parts: [{ index: 2 ** 31, data: null }], ids: [] }), RangeError)
  assert.throws(() => encoded(1, { name: '', since: 2n ** 63n, parts: [], ids: [] }), RangeError)
  assert.throws(() => encoded(2, { name: '', parts: [], ids: ['short'] }), RangeError)
})

test('int64 keeps every bit above 2^53', () => {
  for (const since of [9007199254740993n, -9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    const bytes = encoded(1, { name: '', since, parts: [], ids: [] })
    assert.equal(decodeRequest(Sample, 1, new Reader(bytes)).since, since)
  }
})

for (const [name, text] of [
  ['an array of two billion elements', '0000' + '7fffffff'],
  ['an array of a negative length', '0000' + 'fffffffe'],
  ['a string longer than the frame', '7fff41'],
  ['a null string where none may be', 'ffff'],
  ['a message cut in the middle of a field', '0001'],
] as const) {
  test(`${name} is a ProtocolError`, () => {
    assert.throws(() => decodeRequest(Sample, 0, new Reader(Buffer.from(text, 'hex'))), ProtocolError)
  })
}

test('the elements of all arrays of a message are bounded together, so that a frame never takes much more memory than it has', () => {
  const empty = new Writer()
  const request = { groupId: 'g', sessionTimeoutMs: 1, rebalanceTimeoutMs: 1, memberId: '', protocolType: 'c' }
  encodeRequest(JoinGroup, 7, { ...request, protocols: [] }, empty)
  const framed = (count: number): Uint8Array => {
    const writer = new Writer()
    writer.uvarint(count + 1)
    const protocols = Buffer.from('010100'.repeat(count), 'hex') // an empty name, no bytes, no tags
    return Buffer.concat([empty.toBytes().subarray(0, -2), writer.toBytes(), protocols, Uint8Array.of(0)])
  }
  assert.equal(decodeRequest(JoinGroup, 7, new Reader(framed(1_000))).protocols.length, 1_000)
  const huge = framed(elementMaxCount + 1)
  const before = process.memoryUsage().heapUsed
  assert.throws(() => decodeRequest(JoinGroup, 7, new Reader(huge)), ProtocolError)
  assert(process.memoryUsage().heapUsed - before < 20_000_000)

  const topics = Array.from({ length: 3 }, () => Buffer.from('0000' + '000a2c2a' + '0000'.repeat(666_666), 'hex'))
  const names = Buffer.concat([Buffer.from('00000003', 'hex'), ...topics])
  assert.throws(() => decodeRequest(NamesOfNames, 0, new Reader(names)), /expected 1000000 or fewer/)
})

test('varints of more than 32 bits are refused', () => {
  assert.throws(() => new Reader(Buffer.from('ffffffff1f', 'hex')).uvarint(), ProtocolError)
  assert.throws(() => new Reader(Buffer.from('ffffffffff01', 'hex')).uvarint(), ProtocolError)
  assert.equal(new Reader(Buffer.from('ffffffff0f', 'hex')).uvarint(), 0xffffffff)
})

test('a uuid is the text that Kafka prints', () => {
  const Id = defineApi({ ...Sample, request: { id: uuid('An id.') }, response: {} })
  const bytes = Buffer.from('8f3c2a1b4d5e6f708192a3b4c5d6e7f8', 'hex')
  const { id } = decodeRequest(Id, 0, new Reader(bytes))
  assert.equal(id, 'jzwqG01eb3CBkqO0xdbn-A')
  const writer = new Writer()
  encodeRequest(Id, 0, { id }, writer)
  assert.equal(hex([writer.toBytes()]), bytes.toString('hex'))
})

test('large record chunks are borrowed, small ones copied, and both arrive in order', () => {
  const large = new Uint8Array(5000).fill(7)
  const small = Uint8Array.of(1, 2, 3)
  const chunks = frameRequest(
    Sample,
    { apiVersion: 0, correlationId: 1, clientId: null },
    { name: 'n', parts: [{ index: 0, data: [small, large, small] }], ids: [] },
  )
  assert.ok(chunks.includes(large))
  const frame = Buffer.concat(chunks)
  assert.equal(frame.readInt32BE(0), frame.length - 4)
  const reader = new Reader(frame, 4)
  assert.equal(readRequestHeader(reader, () => Sample).correlationId, 1)
  const request = decodeRequest(Sample, 0, reader)
  assert.deepEqual(Buffer.concat([...request.parts![0]!.data!]), Buffer.concat([small, large, small]))
})

test('a flexible response has tagged fields in its header, ApiVersions never', () => {
  const value = { errorCode: 35, token: new Uint8Array(0) }
  assert.equal(
    hex(frameResponse(Sample, { apiVersion: 2, correlationId: 5 }, value)),
    '00000009' + '00000005' + '00' + '0023' + '01' + '00',
  )
  const ApiVersions = { ...Sample, key: 18 }
  assert.equal(
    hex(frameResponse(ApiVersions, { apiVersion: 2, correlationId: 5 }, value)),
    '00000008' + '00000005' + '0023' + '01' + '00',
  )
})

test('a response to another request is refused', () => {
  const [frame] = frameResponse(Sample, { apiVersion: 0, correlationId: 5 }, { errorCode: 0, token: new Uint8Array(0) })
  const body = frame!.subarray(4)
  assert.equal(parseResponse(Sample, { apiVersion: 0, correlationId: 5 }, body).errorCode, 0)
  assert.throws(() => parseResponse(Sample, { apiVersion: 0, correlationId: 6 }, body), ProtocolError)
})

test('a response is written and read back in every version', () => {
  for (const version of [0, 1, 2, 3]) {
    const token = version >= 1 ? Uint8Array.of(1, 2) : new Uint8Array(0)
    const writer = new Writer()
    encodeResponse(Sample, version, { errorCode: -1, token }, writer)
    const value = decodeResponse(Sample, version, new Reader(writer.toBytes()))
    assert.equal(value.errorCode, -1)
    assert.deepEqual(Uint8Array.from(value.token), token)
  }
})
