/** Every message in every version: values at their borders, written, changed and read. */
import assert from 'node:assert/strict'
import { apiByKey, apis } from '../../protocol/apis/index.ts'
import { decodeRecord, decodeRequest, encodeRecord } from '../../protocol/compile.ts'
import { readRequestHeader, writeRequestHeader } from '../../protocol/frame.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Api, Field, Fields, PrimitiveKind, RecordInput, RecordType } from '../../protocol/schema.ts'
import * as consumerProtocol from '../../protocol/state/consumer-protocol.ts'
import * as controlRecords from '../../protocol/state/control-records.ts'
import * as groupRecords from '../../protocol/state/group-records.ts'
import { metadataRecordTypes } from '../../protocol/state/record-types.ts'
import * as transactionRecords from '../../protocol/state/transaction-records.ts'
import { inVersions, parseVersions } from '../../protocol/versions.ts'
import { Writer } from '../../protocol/writer.ts'
import type { Random } from '../../src/environment/environment.ts'
import { chance, mutated, oddBigints, oddIntegers, oddText, pick } from './mutate.ts'
import { pureTarget } from './target.ts'

/** Requests, responses and records alike: codecs see no difference between them. */
const types: readonly RecordType[] = [
  ...apis.flatMap((api) => [
    { ...api, name: `${api.name} request`, fields: api.request },
    { ...api, name: `${api.name} response`, fields: api.response },
  ]),
  ...metadataRecordTypes,
  ...[controlRecords, groupRecords, transactionRecords, consumerProtocol].flatMap((module) =>
    Object.values<RecordType>(module),
  ),
]

export function randomVersion(random: Random, versions: string): number {
  const { min, max } = parseVersions(versions)
  return min + random.below(max - min + 1)
}

const integerBounds: Partial<Record<PrimitiveKind, readonly [number, number]>> = {
  int8: [-0x80, 0x7f],
  int16: [-0x8000, 0x7fff],
  uint16: [0, 0xffff],
  int32: [-0x80000000, 0x7fffffff],
  uint32: [0, 0xffffffff],
}

function primitive(random: Random, kind: PrimitiveKind): unknown {
  const bounds = integerBounds[kind]
  if (bounds) {
    const value = chance(random, 2) ? pick(random, oddIntegers) : random.below(1_000)
    return Math.max(bounds[0], Math.min(bounds[1], value))
  }
  switch (kind) {
    case 'bool':
      return chance(random, 2)
    case 'int64':
      return chance(random, 2) ? pick(random, oddBigints) : BigInt(random.below(1_000_000))
    case 'float64':
      return pick(random, [0, -0, 1.5, Infinity, NaN])
    case 'uuid':
      return Buffer.from(random.bytes(16)).toString('base64url')
    case 'string':
      return oddText(random).toWellFormed().slice(0, 8_000)
    case 'records':
      return chance(random, 3) ? [] : [random.bytes(1 + random.below(600))]
    default:
      return random.bytes(random.below(20))
  }
}

function valueOf(random: Random, field: Field, version: number): unknown {
  const { kind, options } = field
  const isNullable = options.nullable !== undefined && inVersions(options.nullable, version)
  if (isNullable && chance(random, 4)) return null
  if (kind === 'struct') return structOf(random, field.fields!, version)
  if (kind !== 'array') return primitive(random, kind)
  return Array.from({ length: random.below(3) }, () =>
    field.element ? primitive(random, field.element) : structOf(random, field.fields!, version),
  )
}

/** A value with every field that the version has. */
export function structOf(random: Random, fields: Fields, version: number): Record<string, unknown> {
  const present = Object.entries(fields).filter(([, field]) => inVersions(field.options.versions, version))
  return Object.fromEntries(present.map(([name, field]) => [name, valueOf(random, field, version)]))
}

function encode(type: RecordType, version: number, value: Record<string, unknown>): Uint8Array {
  const writer = new Writer()
  encodeRecord(type, version, value as RecordInput<RecordType>, writer)
  return Uint8Array.from(writer.toBytes())
}

/** The bytes are refused with a ProtocolError, or are a value that is written and read again the same. */
function readOrRefuse(type: RecordType, version: number, bytes: Uint8Array): void {
  let value: Record<string, unknown>
  try {
    value = decodeRecord(type, version, new Reader(bytes))
  } catch (error) {
    if (error instanceof ProtocolError) return
    throw error
  }
  assert.deepEqual(decodeRecord(type, version, new Reader(encode(type, version, value))), value)
}

export const messages = pureTarget('messages', 60, () => (random) => {
  const type = pick(random, types)
  const version = randomVersion(random, type.versions)
  const bytes = encode(type, version, structOf(random, type.fields, version))
  readOrRefuse(type, version, bytes)
  for (let round = 0; round < 4; round++) readOrRefuse(type, version, mutated(random, bytes))
  readOrRefuse(type, randomVersion(random, type.versions), bytes)
})

/** What a topic may have in these requests: ten thousand partitions are allowed, and 200 MB of a disk in memory. */
const partitionMaxCount = 50

function withFewPartitions(request: Record<string, unknown>): Record<string, unknown> {
  for (const topic of Array.isArray(request['topics']) ? (request['topics'] as Record<string, unknown>[]) : []) {
    for (const name of ['numPartitions', 'count']) {
      if (Number(Object(topic)[name]) > partitionMaxCount) topic[name] = partitionMaxCount
    }
  }
  return request
}

/** A request frame without its size. */
export function randomRequest(random: Random, api: Api, apiVersion: number): Uint8Array {
  const writer = new Writer()
  writeRequestHeader(api, { apiVersion, correlationId: random.below(0x7fffffff), clientId: 'fuzz' }, writer)
  const request = withFewPartitions(structOf(random, api.request, apiVersion))
  encodeRecord({ ...api, fields: api.request }, apiVersion, request, writer)
  return Uint8Array.from(writer.toBytes())
}

export const requestFrames = pureTarget('request frames', 10, () => (random) => {
  const api = pick(random, apis)
  const version = randomVersion(random, api.versions)
  const frame = mutated(random, randomRequest(random, api, version))
  try {
    const reader = new Reader(frame)
    const header = readRequestHeader(reader, apiByKey)
    const found = apiByKey(header.apiKey)
    if (found && inVersions(found.versions, header.apiVersion)) decodeRequest(found, header.apiVersion, reader)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
})
