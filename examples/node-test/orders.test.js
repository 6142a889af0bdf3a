import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { startBroker } from 'titorelli'
import { placeOrder } from './orders.js'

test('a placed order is in the topic, under its customer', async () => {
  await using broker = await startBroker({ topics: { orders: { partitions: 3 } } })
  const kafka = new Kafka({ brokers: [broker.bootstrapServers], logLevel: logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()

  await placeOrder(producer, { customer: 'k', item: 'heathscape' })

  const records = await Array.fromAsync(broker.records('orders'))
  assert.deepEqual(
    records.map(({ key, value }) => [Buffer.from(key).toString(), JSON.parse(Buffer.from(value).toString())]),
    [['k', { customer: 'k', item: 'heathscape' }]],
  )
  await producer.disconnect()
})
