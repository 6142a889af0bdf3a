/** The demo, as the README tells people to run it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTopics, platformaticProducer, recordsOf, sendWithPlatformatic } from './support/clients.ts'
import { startKafka } from './support/kafka.ts'
import { endOffsets } from './support/mirrors.ts'
import { usePeer } from './support/peers.ts'
import { runTitorelli } from './support/titorelli.ts'

test('the demo ends by itself within a minute, with status 0', async () => {
  const startedMs = performance.now()
  const { status, stdout, stderr } = await runTitorelli('demo')
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /identical/)
  assert(performance.now() - startedMs < 60_000)
})

test('the demo mirrors a topic of a real Kafka, verifies it and leaves the Kafka as it was', async (t) => {
  if (!(await usePeer(t, 'kafka'))) return
  const kafka = await startKafka(t)
  await createTopics(kafka.bootstrap, [{ topic: 'mine' }])
  await sendWithPlatformatic(platformaticProducer(t, kafka.bootstrap), 'mine', {
    codec: 'zstd',
    records: recordsOf('mine', 1000),
  })
  const { status, stdout, stderr } = await runTitorelli('demo', '--source', kafka.bootstrap, '--topic', 'mine')
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /identical/)
  assert.deepEqual(await endOffsets(kafka.bootstrap, 'mine'), [1000])
})

test('the demo says what failed when the source is not there, and ends with status 1', async () => {
  const { status, stderr } = await runTitorelli('demo', '--source', '127.0.0.1:1', '--topic', 'mine')
  assert.equal(status, 1)
  assert.match(stderr, /127\.0\.0\.1:1/)
})
