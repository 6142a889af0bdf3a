/**
 * Frames of real clients and of a real broker: read, written again, and attacked. test/golden/frames/README.md says
 * where they come from.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { apiByKey } from '../../protocol/apis/index.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from '../../protocol/compile.ts'
import { readRequestHeader, readResponseHeader, writeRequestHeader, writeResponseHeader } from '../../protocol/frame.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { Api } from '../../protocol/schema.ts'
import { Writer } from '../../protocol/writer.ts'

interface Frame {
  readonly client: string
  readonly api: Api
  readonly version: number
  readonly kind: 'request' | 'response'
  readonly bytes: Uint8Array
}

const file = join(import.meta.dirname, '..', 'golden', 'frames', 'kafka-4.4.0.tsv')
const frames = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line): Frame => {
    const [client, key, version, kind, hex] = line.split('\t')
    const api = apiByKey(Number(key))
    assert.ok(api, `API ${key} is not declared`)
    assert.ok(kind === 'request' || kind === 'response')
    return { client: client!, api, version: Number(version), kind, bytes: Uint8Array.from(Buffer.from(hex!, 'hex')) }
  })

/** Reads a whole frame, and returns what it is when written again. */
function rewritten({ api, version, kind }: Frame, bytes: Uint8Array): Uint8Array {
  const reader = new Reader(bytes)
  const writer = new Writer()
  if (kind === 'request') {
    const header = readRequestHeader(reader, () => api)
    writeRequestHeader(api, { ...header, apiVersion: version }, writer)
    encodeRequest(api, version, decodeRequest(api, version, reader), writer)
  } else {
    writeResponseHeader(api, version, readResponseHeader(api, version, reader), writer)
    encodeResponse(api, version, decodeResponse(api, version, reader), writer)
  }
  return writer.toBytes()
}

test('the recorded frames are of four clients and many APIs', () => {
  assert.equal(new Set(frames.map((frame) => frame.client)).size, 4)
  assert.ok(new Set(frames.map((frame) => frame.api.key)).size >= 40)
})

for (const api of new Set(frames.map((frame) => frame.api))) {
  test(`recorded ${api.name} frames are the same bytes when read and written again`, () => {
    for (const frame of frames.filter((frame) => frame.api === api)) {
      const again = Buffer.from(rewritten(frame, frame.bytes)).toString('hex')
      assert.equal(again, Buffer.from(frame.bytes).toString('hex'), `${frame.client} v${frame.version} ${frame.kind}`)
    }
  })
}

test('the request headers name API, version and client', () => {
  for (const { api, version, client, bytes } of frames.filter((frame) => frame.kind === 'request')) {
    const header = readRequestHeader(new Reader(bytes), apiByKey)
    assert.equal(header.apiKey, api.key)
    assert.equal(header.apiVersion, version)
    assert.ok(header.clientId, client)
  }
})

const lengths = ['7fffffff', '80000000', 'fffffffe', 'ffffffff0f', '7fff', '8000', '00', 'ff'].map((hex) =>
  Uint8Array.from(Buffer.from(hex, 'hex')),
)

/** Reads changed bytes. Anything but a value or a ProtocolError fails the test. */
function assertHarmless(frame: Frame, bytes: Uint8Array, what: string): void {
  try {
    rewritten(frame, bytes)
  } catch (error) {
    if (error instanceof ProtocolError) return
    assert.fail(`${frame.api.name} v${frame.version} ${frame.kind}, ${what}: ${String(error)}`)
  }
}

test('a recorded frame with a wild length at any place is a value or a ProtocolError', () => {
  for (const frame of frames) {
    const step = Math.max(1, Math.floor(frame.bytes.length / 50))
    for (let position = 8; position < frame.bytes.length; position += step) {
      for (const length of lengths) {
        const changed = Uint8Array.from(frame.bytes)
        changed.set(length.subarray(0, changed.length - position), position)
        assertHarmless(frame, changed, `${Buffer.from(length).toString('hex')} at ${position}`)
      }
    }
  }
})

test('a recorded frame that is cut off anywhere in its body is a ProtocolError', () => {
  for (const frame of frames) {
    const reader = new Reader(frame.bytes)
    if (frame.kind === 'request') readRequestHeader(reader, apiByKey)
    else readResponseHeader(frame.api, frame.version, reader)
    const step = Math.max(1, Math.floor(reader.remaining / 50))
    for (let end = reader.position; end < frame.bytes.length; end += step)
      assert.throws(() => rewritten(frame, frame.bytes.subarray(0, end)), ProtocolError)
  }
})
