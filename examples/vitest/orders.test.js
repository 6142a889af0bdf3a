import { Producer, stringSerializers } from '@platformatic/kafka'
import { startBroker } from 'titorelli'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { placeOrder } from './orders.js'

let broker
let producer

beforeAll(async () => {
  broker = await startBroker()
  producer = new Producer({
    clientId: 'example',
    bootstrapBrokers: [broker.bootstrapServers],
    serializers: stringSerializers,
  })
})
beforeEach(async () => {
  await broker.reset() // one broker for all tests, and no test sees what another left
  await broker.createTopic('orders')
})
afterAll(async () => {
  await producer.close()
  await broker.stop()
})

async function values() {
  const records = await Array.fromAsync(broker.records('orders'))
  return records.map(({ value }) => JSON.parse(Buffer.from(value).toString()))
}

test('a placed order is in the topic', async () => {
  await placeOrder(producer, { customer: 'k', item: 'heathscape' })
  expect(await values()).toEqual([{ customer: 'k', item: 'heathscape' }])
})

test('a test begins without the orders of the one before', async () => {
  expect(await values()).toEqual([])
})
