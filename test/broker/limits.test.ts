/** The limits of connections reach the broker from its configs. What each does in detail is in test/network. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { Fetch } from '../../protocol/apis/fetch.ts'
import { Produce } from '../../protocol/apis/produce.ts'
import { startTestBroker } from '../support/broker.ts'
import { fetchRequest, produceRequest } from '../support/requests.ts'

const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
const longPoll = fetchRequest({ maxWaitMs: 600_000 })

test('titorelli.max.in.flight.requests.per.connection: beyond it nothing more of a connection starts', async (t) => {
  const configs = { 'titorelli.max.in.flight.requests.per.connection': '2' }
  const broker = await startTestBroker(t, { configs, topics: { orders: 1 } })
  const client = await broker.connect()
  for (let round = 0; round < 5; round++) client.post(Fetch, 11, longPoll)
  await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 20 }))
  const counts = broker.broker.connections.map(({ inFlightCount }) => inFlightCount)
  assert.equal(Math.max(...counts), 2)
  client.close()
})

test('titorelli.unsent.response.timeout.ms: a client that takes nothing for so long is given up', async (t) => {
  const configs = { 'titorelli.unsent.response.timeout.ms': '30' }
  const broker = await startTestBroker(t, { configs, topics: { orders: 1 } })
  await broker.send(Produce, 9, produceRequest({ values: ['x'.repeat(900_000)] }))
  const client = await broker.connect()
  client.socket.pause()
  for (let round = 0; round < 50; round++) client.post(Fetch, 11, fetchRequest())
  await client.closed
  assert(broker.log.some(({ fields }) => /does not take its answers/.test(String(fields['reason']))))
})

test('socket.request.max.bytes: a larger request closes its connection', async (t) => {
  const broker = await startTestBroker(t, { configs: { 'socket.request.max.bytes': '1000' }, topics: { orders: 1 } })
  const client = await broker.connect()
  const { responses } = await client.send(Produce, 9, produceRequest({ values: ['x'.repeat(500)] }))
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  client.post(Produce, 9, produceRequest({ values: ['x'.repeat(1_000)] }))
  await client.closed
})

for (const name of ['max.connections', 'max.connections.per.ip']) {
  test(`${name}: a further connection is closed at once, the others go on`, async (t) => {
    const broker = await startTestBroker(t, { configs: { [name]: '2' } })
    const clients = [await broker.connect(), await broker.connect()]
    for (const client of clients) await client.send(ApiVersions, 3, software)
    await (
      await broker.connect()
    ).closed
    for (const client of clients) assert.equal((await client.send(ApiVersions, 3, software)).errorCode, 0)
  })
}

test('connections.max.idle.ms: a connection that sends nothing is closed, one with a long poll is not', async (t) => {
  const configs = { 'connections.max.idle.ms': '30' }
  const broker = await startTestBroker(t, { configs, topics: { orders: 1 } })
  const polling = await broker.connect()
  polling.post(Fetch, 11, longPoll)
  const idle = await broker.connect()
  await idle.closed
  await broker.send(Fetch, 11, fetchRequest({ maxWaitMs: 20 }))
  assert(broker.broker.connections.some(({ inFlightCount }) => inFlightCount === 1))
  polling.close()
})
