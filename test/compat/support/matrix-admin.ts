/** The operations that the client matrix has every admin client do, each looked at from outside. */
import assert from 'node:assert/strict'
import kafkajs, { type Admin } from 'kafkajs'
import { kafkajsClient } from './clients.ts'
import { driverOf, type Client } from './matrix.ts'
import type { TitorelliProcess } from './titorelli.ts'

/** Where a client works, and someone to see what it did. */
interface AdminRide {
  readonly broker: TitorelliProcess
  readonly topic: string
  readonly group: string
  readonly control: Admin
  readonly ask: <T>(op: string, options?: object) => Promise<T>
}

interface Operation {
  readonly name: string
  readonly run: (ride: AdminRide) => Promise<void>
  /** Does the same without the client, so that the next operation finds what it needs although the client can't. */
  readonly instead?: (ride: AdminRide) => Promise<void>
}

async function retentionOf({ control, topic }: AdminRide): Promise<string | undefined> {
  const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }]
  return (await control.describeConfigs({ resources, includeSynonyms: false })).resources[0]?.configEntries[0]
    ?.configValue
}

async function partitionCountOf({ control, topic }: AdminRide): Promise<number> {
  return (await control.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions.length
}

async function writeRecords({ broker, topic }: AdminRide): Promise<void> {
  const producer = kafkajsClient(broker.bootstrap).producer()
  await producer.connect()
  const messages = Array.from({ length: 10 }, (_, at) => ({ value: `${at}`, partition: 0 }))
  await producer.send({ topic, messages })
  await producer.disconnect()
}

/** Commits 7 for partition 0, so that there is a group, without members. */
async function makeGroup({ broker, topic, group }: AdminRide): Promise<void> {
  const url = `${broker.httpUrl}/titorelli/v1/clusters/${broker.ready.clusterId}/groups/${group}/offsets`
  const body = JSON.stringify({ offsets: [{ topic_name: topic, partition_id: 0, offset: 7 }] })
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  assert.equal(response.status, 204, await response.text())
}

/** In this order: each finds what those before it have left. */
export const operations: readonly Operation[] = [
  {
    name: 'describeCluster',
    async run({ broker, ask }) {
      assert.deepEqual(await ask('describeCluster'), { clusterId: broker.ready.clusterId, brokers: 1 })
    },
  },
  {
    name: 'createTopic',
    async run(ride) {
      await ride.ask('createTopic', { topic: ride.topic, partitions: 2, configs: { 'retention.ms': '3600000' } })
      assert.deepEqual([await partitionCountOf(ride), await retentionOf(ride)], [2, '3600000'])
    },
    async instead({ control, topic }) {
      const configEntries = [{ name: 'retention.ms', value: '3600000' }]
      await control.createTopics({ topics: [{ topic, numPartitions: 2, configEntries }] })
    },
  },
  {
    name: 'listTopics',
    async run({ topic, ask }) {
      assert((await ask<{ topics: string[] }>('listTopics')).topics.includes(topic))
    },
  },
  {
    name: 'describeTopic',
    async run({ topic, ask }) {
      assert.deepEqual(await ask('describeTopic', { topic }), { partitions: 2 })
    },
  },
  {
    name: 'createPartitions',
    async run(ride) {
      await ride.ask('createPartitions', { topic: ride.topic, count: 3 })
      assert.equal(await partitionCountOf(ride), 3)
    },
  },
  {
    name: 'describeConfigs',
    async run({ topic, ask }) {
      const { configs } = await ask<{ configs: Record<string, string> }>('describeConfigs', { topic })
      assert.deepEqual([configs['retention.ms'], configs['cleanup.policy']], ['3600000', 'delete'])
    },
  },
  {
    name: 'alterConfig',
    async run(ride) {
      await ride.ask('alterConfig', { topic: ride.topic, name: 'retention.ms', value: '7200000' })
      assert.equal(await retentionOf(ride), '7200000')
    },
  },
  {
    name: 'listOffsets',
    async run(ride) {
      await writeRecords(ride)
      const offsets = await ride.ask('listOffsets', { topic: ride.topic, partition: 0 })
      assert.deepEqual(offsets, { earliest: '0', latest: '10' })
    },
  },
  {
    name: 'deleteRecords',
    async run({ control, topic, ask }) {
      await ask('deleteRecords', { topic, partition: 0, before: '4' })
      const found = (await control.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)
      assert.deepEqual([found?.low, found?.high], ['4', '10'])
    },
  },
  {
    name: 'listGroups',
    async run(ride) {
      await makeGroup(ride)
      assert((await ride.ask<{ groups: string[] }>('listGroups')).groups.includes(ride.group))
    },
  },
  {
    name: 'describeGroup',
    async run({ group, ask }) {
      const { state, members } = await ask<{ state: string; members: number }>('describeGroup', { group })
      assert.deepEqual([state.toLowerCase(), members], ['empty', 0])
    },
  },
  {
    name: 'committed',
    async run({ group, topic, ask }) {
      assert.deepEqual(await ask('committed', { group, topic }), { offsets: { 0: '7' } })
    },
  },
  {
    name: 'deleteGroup',
    async run({ control, group, ask }) {
      await ask('deleteGroup', { group })
      assert(!(await control.listGroups()).groups.some(({ groupId }) => groupId === group))
    },
  },
  {
    name: 'deleteTopic',
    async run({ control, topic, ask }) {
      await ask('deleteTopic', { topic })
      assert(!(await control.listTopics()).includes(topic))
    },
  },
]

/** Hands over a place to work in, for the time that `run` takes. */
export async function withAdminRide(
  client: Client,
  broker: TitorelliProcess,
  run: (ride: AdminRide) => Promise<void>,
): Promise<void> {
  const control = kafkajsClient(broker.bootstrap).admin()
  await control.connect()
  try {
    await run({
      broker,
      topic: `admin-${client.name}`,
      group: `admin-${client.name}`,
      control,
      ask: (op, options) => driverOf(client).send({ do: 'admin', op, bootstrap: broker.bootstrap, ...options }),
    })
  } finally {
    await control.disconnect()
  }
}
