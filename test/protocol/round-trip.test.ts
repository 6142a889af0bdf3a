/**
 * Properties of every declared message in every version: what is written is read back, and bytes that are cut, changed
 * or made up yield a value or a ProtocolError, nothing else.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { apis } from '../../protocol/apis/index.ts'
import { decodeRecord, encodeRecord, isFlexible } from '../../protocol/compile.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Field, Fields, PrimitiveKind, RecordInput, RecordType } from '../../protocol/schema.ts'
import { string, zeroUuid } from '../../protocol/schema.ts'
import * as consumerProtocol from '../../protocol/state/consumer-protocol.ts'
import * as controlRecords from '../../protocol/state/control-records.ts'
import * as groupRecords from '../../protocol/state/group-records.ts'
import { Link } from '../../protocol/state/mirror-records.ts'
import { metadataRecordTypes } from '../../protocol/state/record-types.ts'
import * as transactionRecords from '../../protocol/state/transaction-records.ts'
import { inVersions, parseVersions } from '../../protocol/versions.ts'
import { Writer } from '../../protocol/writer.ts'

type Value = Record<string, unknown>

/** Requests, responses and records alike: codecs see no difference between them. */
const messages: readonly RecordType[] = [
  ...apis.flatMap((api) => [
    { ...api, name: `${api.name} request`, fields: api.request },
    { ...api, name: `${api.name} response`, fields: api.response },
  ]),
  ...metadataRecordTypes,
  ...[controlRecords, groupRecords, transactionRecords, consumerProtocol].flatMap((module) =>
    Object.values<RecordType>(module),
  ),
]

function versionsOf(message: RecordType): number[] {
  const { min, max } = parseVersions(message.versions)
  return Array.from({ length: max - min + 1 }, (_, i) => min + i)
}

function encode(message: RecordType, version: number, value: Value): Uint8Array {
  const writer = new Writer()
  encodeRecord(message, version, value as RecordInput<RecordType>, writer)
  return Uint8Array.from(writer.toBytes())
}

function decode(message: RecordType, version: number, bytes: Uint8Array): Value {
  return decodeRecord(message, version, new Reader(bytes))
}

// --- Values of a declaration ---

const smallBytes = fc.uint8Array({ maxLength: 12 })
const primitives: { readonly [K in PrimitiveKind]: fc.Arbitrary<unknown> } = {
  bool: fc.boolean(),
  int8: fc.integer({ min: -0x80, max: 0x7f }),
  int16: fc.integer({ min: -0x8000, max: 0x7fff }),
  uint16: fc.integer({ min: 0, max: 0xffff }),
  int32: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  uint32: fc.integer({ min: 0, max: 0xffffffff }),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float64: fc.double(),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  string: fc.string({ unit: 'binary', maxLength: 8 }),
  bytes: smallBytes,
  // At most one chunk, as a reader yields them; the large ones are borrowed by the writer.
  records: fc
    .oneof(smallBytes, fc.constant(new Uint8Array(600).fill(7)))
    .map((chunk) => (chunk.length > 0 ? [chunk] : [])),
}

const zeros: Partial<Record<Field['kind'], unknown>> = { bool: false, int64: 0n, string: '', uuid: zeroUuid }

/** What a decoder gives for a field that its version lacks. */
function absentValue(field: Field): unknown {
  const { kind, options, fields } = field
  if (options.default !== undefined) return options.default
  if (kind === 'struct')
    return Object.fromEntries(Object.entries(fields!).map(([name, part]) => [name, absentValue(part)]))
  if (kind === 'array' || kind === 'records') return []
  return kind === 'bytes' ? new Uint8Array(0) : (zeros[kind] ?? 0)
}

function arbitraryOf(field: Field, version: number): fc.Arbitrary<unknown> {
  const { kind, options } = field
  if (!inVersions(options.versions, version)) return fc.constant(absentValue(field))
  const value =
    kind === 'struct'
      ? arbitraryStruct(field.fields!, version)
      : kind === 'array'
        ? fc.array(field.element ? primitives[field.element] : arbitraryStruct(field.fields!, version), {
            maxLength: 2,
          })
        : primitives[kind]
  const nullable = options.nullable !== undefined && inVersions(options.nullable, version)
  return nullable ? fc.option(value, { nil: null, freq: 3 }) : value
}

function arbitraryStruct(fields: Fields, version: number): fc.Arbitrary<Value> {
  const parts = Object.entries(fields).map(([name, field]) => [name, arbitraryOf(field, version)] as const)
  return fc.record(Object.fromEntries(parts), { noNullPrototype: true })
}

// --- Round trips ---

for (const message of messages) {
  test(`${message.name} is read back as it was written, in every version`, () => {
    for (const version of versionsOf(message)) {
      const property = fc.property(arbitraryStruct(message.fields, version), (value) => {
        assert.deepEqual(decode(message, version, encode(message, version, value)), value)
      })
      fc.assert(property, { numRuns: 12 })
    }
  })
}

const unknownField = 'unknownToUs'

/** The declaration as a later version of Kafka might have it: every struct has one more tagged field. */
function widened(fields: Fields): Fields {
  const inner = Object.entries(fields).map(([name, field]): [string, Field] => [
    name,
    field.fields ? { ...field, fields: widened(field.fields) } : field,
  ])
  return { ...Object.fromEntries(inner), [unknownField]: string('A field of the future.', { tag: 77 }) }
}

/** The value with the unknown field set in every struct that the version carries. */
function filled(fields: Fields, version: number, value: Value): Value {
  const entries = Object.entries(fields).map(([name, field]) => {
    const part = value[name]
    if (!field.fields || part === null || !inVersions(field.options.versions, version)) return [name, part]
    if (field.kind === 'struct') return [name, filled(field.fields, version, part as Value)]
    return [name, (part as Value[]).map((element) => filled(field.fields!, version, element))]
  })
  return { ...Object.fromEntries(entries), [unknownField]: 'news' }
}

test('tagged fields that nobody knows are skipped, in every struct of every flexible version', () => {
  let structs = 0
  for (const message of messages) {
    const future = { ...message, fields: widened(message.fields) }
    for (const version of versionsOf(message).filter((version) => isFlexible(message, version))) {
      const property = fc.property(arbitraryStruct(message.fields, version), (value) => {
        const bytes = encode(future, version, filled(message.fields, version, value))
        structs += Buffer.from(bytes).toString('latin1').split('news').length - 1
        assert.deepEqual(decode(message, version, bytes), value)
      })
      fc.assert(property, { numRuns: 2 })
    }
  }
  assert.ok(structs > 1000, `only ${structs} structs had an unknown field`)
})

// --- Hostile bytes ---

/** One value per message and version, from a fixed seed, so that a failure shows again. */
function* samples(seed: number): Generator<{ message: RecordType; version: number; bytes: Uint8Array; label: string }> {
  for (const message of messages) {
    for (const version of versionsOf(message)) {
      const [value] = fc.sample(arbitraryStruct(message.fields, version), { numRuns: 1, seed })
      yield { message, version, bytes: encode(message, version, value!), label: `${message.name} v${version}` }
    }
  }
}

/** A deterministic sequence of whole numbers below a limit. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The bytes are refused with a ProtocolError, or yield a value that can be written and read again. */
function assertHarmless(message: RecordType, version: number, bytes: Uint8Array, label: string): void {
  let value: Value
  try {
    value = decode(message, version, bytes)
  } catch (error) {
    if (error instanceof ProtocolError) return
    assert.fail(`${label}: ${String(error)} for ${Buffer.from(bytes).toString('hex')}`)
  }
  assert.deepEqual(decode(message, version, encode(message, version, value)), value, label)
}

for (const seed of [1, 2, 3]) {
  test(`a message cut off anywhere is a ProtocolError (seed ${seed})`, () => {
    for (const { message, version, bytes, label } of samples(seed)) {
      const step = Math.max(1, Math.floor(bytes.length / 40))
      for (let end = bytes.length - 1; end >= 0; end -= end > 8 ? step : 1)
        assert.throws(() => decode(message, version, bytes.subarray(0, end)), ProtocolError, `${label} cut at ${end}`)
    }
  })

  test(`a changed message is another value or a ProtocolError (seed ${seed})`, () => {
    const next = numbersFrom(seed)
    for (const { message, version, bytes, label } of samples(seed + 100)) {
      for (let round = 0; round < 30 && bytes.length > 0; round++) {
        const changed = Uint8Array.from(bytes)
        for (let flips = 1 + next(3); flips > 0; flips--)
          changed[next(changed.length)] = [0, 1, 0x7f, 0x80, 0xff, next(256)][next(6)]!
        assertHarmless(message, version, changed, label)
      }
    }
  })

  test(`random bytes are a value or a ProtocolError (seed ${seed})`, () => {
    const next = numbersFrom(seed + 200)
    for (const message of messages) {
      for (const version of versionsOf(message)) {
        const bytes = Uint8Array.from({ length: next(60) }, () => (next(3) === 0 ? next(256) : next(4)))
        assertHarmless(message, version, bytes, `${message.name} v${version}`)
      }
    }
  })
}

test('the worked example of docs/storage-format.md is what a Link record looks like', () => {
  const writer = new Writer()
  for (const number of [1, Link.key, 0]) writer.uvarint(number)
  encodeRecord(Link, 0, { linkId: 'jzwqG01eb3CBkqO0xdbn-A', name: 'west', sourceClusterId: 'lkc-1' }, writer)
  const expected = ['01', 'b0ea01', '00', '8f3c2a1b4d5e6f708192a3b4c5d6e7f8', '0577657374', '066c6b632d31', '00']
  assert.equal(Buffer.from(writer.toBytes()).toString('hex'), expected.join(''))
})
