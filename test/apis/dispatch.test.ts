import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { CreateTopics } from '../../protocol/apis/create-topics.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { InitProducerId } from '../../protocol/apis/init-producer-id.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { apis } from '../../protocol/apis/index.ts'
import { decodeResponse } from '../../protocol/compile.ts'
import { errorCodes } from '../../protocol/errors.ts'
import { frameRequest, parseResponse } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { inVersions, parseVersions } from '../../protocol/versions.ts'
import { handlers } from '../../src/apis/index.ts'
import { startTestBroker, versionsOf, type LogLine, type TestBroker } from '../support/broker.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'

/** What the log says that is not in the course of things. */
function troublesOf({ log }: TestBroker): LogLine[] {
  return log.filter(({ level }) => level === 'warn' || level === 'error')
}

const software = { clientSoftwareName: 'test-client', clientSoftwareVersion: '1.0' }

function requestBytes(key: number, version: number, rest: string): Buffer {
  const body = Buffer.from(rest, 'hex')
  const bytes = Buffer.alloc(12 + body.length)
  bytes.writeInt32BE(8 + body.length, 0)
  bytes.writeInt16BE(key, 4)
  bytes.writeInt16BE(version, 6)
  bytes.writeInt32BE(77, 8)
  body.copy(bytes, 12)
  return bytes
}

test('handlers stand in key order, each once, and can say every failure', () => {
  const keys = handlers.map(({ api }) => api.key)
  assert.deepEqual(
    keys,
    [...new Set(keys)].toSorted((a, b) => a - b),
  )
  for (const handler of handlers) {
    const canFail = 'fail' in handler || 'errorCode' in handler.api.response
    assert(canFail, handler.api.name)
  }
})

for (const version of versionsOf(ApiVersions)) {
  test(`T1: ApiVersions v${version} has a response header without tagged fields, and lists what is served`, async (t) => {
    const broker = await startTestBroker(t)
    const client = await broker.connect()
    const header = { apiVersion: version, correlationId: 5, clientId: 'c' }
    const frame = await client.exchange(Buffer.concat(frameRequest(ApiVersions, header, software)))
    const response = decodeResponse(ApiVersions, version, new Reader(frame, 4)) // 4: the correlation id, and no more
    assert.equal(response.errorCode, 0)
    assert.deepEqual(
      response.apiKeys.map(({ apiKey }) => apiKey),
      handlers.map(({ api }) => api.key),
    )
    const produce = response.apiKeys.find(({ apiKey }) => apiKey === Produce.key)
    assert.deepEqual(produce, { apiKey: 0, minVersion: 0, maxVersion: 13 }) // T4
    if (version < 3) return
    assert.deepEqual(response.finalizedFeatures, [
      { name: 'metadata.version', minVersionLevel: 30, maxVersionLevel: 30 },
    ])
    assert.equal(
      response.supportedFeatures.some(({ minVersion }) => minVersion === 0),
      version >= 4,
    )
  })
}

test('the APIs of transactions are not advertised while there are none', async (t) => {
  const broker = await startTestBroker(t)
  const { apiKeys } = await broker.send(ApiVersions, 4, software)
  const keys = new Set(apiKeys.map(({ apiKey }) => apiKey))
  assert.deepEqual(
    [24, 25, 26, 27, 28].filter((key) => keys.has(key)),
    [],
  )
})

test('T2: an unknown version of ApiVersions gets the body of version 0, error 35, and all keys', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  const frame = await client.exchange(requestBytes(18, 99, 'ffff00'))
  const response = parseResponse(ApiVersions, { apiVersion: 0, correlationId: 77 }, frame)
  assert.equal(response.errorCode, 35)
  assert.equal(response.apiKeys.length, handlers.length)
  assert.equal((await client.send(ApiVersions, 3, software)).errorCode, 0) // the connection lives
})

test('T3: ApiVersions refuses names of client software that are none', async (t) => {
  const broker = await startTestBroker(t)
  for (const name of ['', '-a', 'a b', 'a-', 'ä']) {
    const { errorCode } = await broker.send(ApiVersions, 3, { ...software, clientSoftwareName: name })
    assert.equal(errorCode, errorCodes.INVALID_REQUEST, name)
  }
})

test('ApiVersions v5 sends a client away that means another cluster', async (t) => {
  const broker = await startTestBroker(t)
  const { clusterId } = broker.broker
  const right = await broker.send(ApiVersions, 5, { ...software, clusterId, nodeId: 1 })
  assert.equal(right.errorCode, 0)
  const wrong = await broker.send(ApiVersions, 5, { ...software, clusterId: 'another', nodeId: 1 })
  assert.equal(wrong.errorCode, errorCodes.REBOOTSTRAP_REQUIRED)
})

test('T33: a declared version that is not served is answered with 35, and the connection lives', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  const request = { transactionalId: null, transactionTimeoutMs: 0 }
  assert.equal((await client.send(InitProducerId, 6, request)).errorCode, 35)
  assert.equal((await client.send(InitProducerId, 5, request)).errorCode, 0)
})

test('T33: a version beyond the declared ones is answered with 35 in the nearest shape', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  const frame = await client.exchange(requestBytes(Fetch.key, 99, 'ffff00'))
  const response = parseResponse(Fetch, { apiVersion: 18, correlationId: 77 }, frame)
  assert.equal(response.errorCode, 35)
  const old = await client.exchange(requestBytes(CreateTopics.key, 0, 'ffff'))
  assert.equal(parseResponse(CreateTopics, { apiVersion: 2, correlationId: 77 }, old).topics.length, 0)
})

for (const { api } of handlers.filter(({ api }) => api !== ApiVersions)) {
  test(`T33: ${api.name} in a version above and below what is served is answered with 35 in its nearest shape`, async (t) => {
    const broker = await startTestBroker(t)
    const client = await broker.connect()
    const { min, max } = parseVersions(api.versions)
    for (const [asked, shape] of [[max + 1, max], [32_767, max], ...(min > 3 ? [[min - 1, min]] : [])] as const) {
      const frame = await client.exchange(requestBytes(api.key, asked!, 'ffff00'))
      const response = parseResponse(api, { apiVersion: shape!, correlationId: 77 }, frame)
      const { errorCode } = api.response
      if (errorCode && inVersions(errorCode.options.versions, shape!))
        assert.equal(Reflect.get(response, 'errorCode'), 35)
    }
    assert.equal((await client.send(ApiVersions, 3, software)).errorCode, 0)
    assert.deepEqual(troublesOf(broker), [])
  })
}

for (const api of apis.filter(({ key }) => !handlers.some((handler) => handler.api.key === key))) {
  test(`T33: ${api.name}, which is known and not served, is answered with 35, and the connection lives`, async (t) => {
    const broker = await startTestBroker(t)
    const client = await broker.connect()
    const { min, max } = parseVersions(api.versions)
    for (let version = min; version <= max; version++) {
      const frame = await client.exchange(requestBytes(api.key, version, 'ffff00'))
      const response = parseResponse(api, { apiVersion: version, correlationId: 77 }, frame)
      const { errorCode } = api.response
      if (errorCode && inVersions(errorCode.options.versions, version))
        assert.equal(Reflect.get(response, 'errorCode'), 35)
    }
    assert.equal((await client.send(ApiVersions, 3, software)).errorCode, 0)
    assert.deepEqual(troublesOf(broker), [])
  })
}

test('an unknown key closes its connection with one line in the log, and no other connection', async (t) => {
  const broker = await startTestBroker(t)
  const other = await broker.connect()
  const client = await broker.connect()
  await assert.rejects(client.exchange(requestBytes(999, 0, 'ffff')), /closed/)
  const lines = troublesOf(broker)
  assert.equal(lines.length, 1)
  assert.match(String(lines[0]!.fields['err']), /API key 999/)
  assert.equal((await other.send(ApiVersions, 0, software)).errorCode, 0)
})

test('a frame that is no message closes its connection with one line in the log', async (t) => {
  const broker = await startTestBroker(t)
  const client = await broker.connect()
  await assert.rejects(client.exchange(requestBytes(Produce.key, 9, 'ffff00ffffffffff')), /closed/)
  assert.equal(troublesOf(broker).length, 1)
})

test('a defect becomes an error answer and a line in the log, and the connection lives', async (t) => {
  const broker = await startTestBroker(t, { topics: { orders: 1 } })
  const client = await broker.connect()
  const { logs } = broker.broker.parts
  t.mock.method(logs, 'append', () => {
    throw new Error('a defect')
  })
  const { responses } = await client.send(Produce, 9, produceRequest())
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, errorCodes.UNKNOWN_SERVER_ERROR)
  assert.equal(broker.log.filter(({ level }) => level === 'error').length, 1)
  assert.equal((await client.send(Fetch, 11, fetchRequest())).errorCode, 0)
})
