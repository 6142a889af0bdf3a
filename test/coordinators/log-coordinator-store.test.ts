import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disk } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { internalTopicsOf, LogCoordinatorStore } from '../../src/coordinators/log-coordinator-store.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { coordinatorStoreContract, recordOf, type CoordinatorEngine } from '../contracts/coordinator-store.ts'
import { startTestBroker } from '../support/broker.ts'

/** The store of a broker; its own coordinators have nothing to do. */
function engineOf(t: TestContext, disk: Disk): CoordinatorEngine {
  return {
    async open() {
      const { broker } = await startTestBroker(t, { disk })
      const { logs, topics, config, brokers } = broker.parts
      const store = new LogCoordinatorStore({
        logs,
        topics,
        clock: nodeClock,
        brokers,
        internalTopics: internalTopicsOf(config),
      })
      return { store, close: () => broker.stop() }
    },
  }
}

coordinatorStoreContract('LogCoordinatorStore', (t) => engineOf(t, new MemoryDisk((run) => nodeClock.defer(run))))

coordinatorStoreContract('LogCoordinatorStore on a real disk', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'titorelli-'))
  t.after(() => rmSync(root, { recursive: true }))
  return engineOf(t, new NodeDisk(root, { threadPoolSize: 4 }))
})

test('the internal topics are compacted, and come into being with the first append', async (t) => {
  const { broker } = await startTestBroker(t)
  const { logs, topics, config, brokers } = broker.parts
  const internalTopics = internalTopicsOf(config)
  const store = new LogCoordinatorStore({ logs, topics, clock: nodeClock, brokers, internalTopics })
  assert.equal(topics.find('__consumer_offsets'), undefined)
  await store.append('group', 1, [recordOf('a')], { lease: 'test', fenceEpoch: 1n })
  const topic = topics.find('__consumer_offsets')
  assert.equal(topic?.partitions.length, 50)
  assert.deepEqual(topic.config.cleanupPolicy, { compact: true, delete: false })
  assert.equal(topic.config.segmentBytes, 104_857_600)
  assert.equal(topic.image.isInternal, true)
})
