/**
 * Frames of real clients, whole and damaged, against a whole broker: it answers or closes, and nothing else suffers.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import type { Random } from '../../src/environment/environment.ts'
import { startTestBroker, type TestBroker } from '../support/broker.ts'

const file = join(import.meta.dirname, '..', 'golden', 'frames', 'kafka-4.4.0.tsv')
const requests = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'))
  .filter(([, , , kind]) => kind === 'request')
  .map(([, , , , hex]) => Buffer.from(hex!, 'hex'))

function framed(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + bytes.length)
  frame.writeInt32BE(bytes.length)
  frame.set(bytes, 4)
  return frame
}

/**
 * Sends a frame on a connection of its own. Resolves when it is answered, or the connection closed, or nothing is to
 * come.
 */
async function send(broker: TestBroker, bytes: Uint8Array): Promise<void> {
  const client = await broker.connect()
  const answered = client.exchange(framed(bytes)).then(
    () => undefined,
    () => undefined,
  )
  // Long polls and produces without an answer: what comes behind them on another connection is answered all the same.
  const settled = broker.send(ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
  await Promise.race([answered, settled])
  client.close()
}

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const count = 1 + random.below(4)
  for (let change = 0; change < count; change++) {
    const position = 8 + random.below(Math.max(1, changed.length - 8))
    changed[position] = [0, 0xff, 0x7f, 0x80, random.below(256)][random.below(5)]!
  }
  return random.below(8) === 0 ? changed.subarray(0, 8 + random.below(changed.length - 8)) : changed
}

async function assertUnharmed({ log, broker }: TestBroker): Promise<void> {
  const defects = log.filter(({ level }) => level === 'error')
  assert.deepEqual(
    defects.map(({ fields }) => [fields['api'], fields['apiVersion'], String(fields['err'])]),
    [],
  )
  await broker.stop()
  const { memory } = broker.parts
  for (const kind of ['request', 'append', 'response'] as const) assert.equal(memory.usedBytesOf(kind), 0, kind)
}

test('every recorded request of a real client is answered without a defect', async (t) => {
  const broker = await startTestBroker(t)
  for (const bytes of requests) await send(broker, bytes)
  await assertUnharmed(broker)
})

for (let seed = 0; seed < 4; seed++) {
  test(`damaged requests of real clients are answered or close their connection, without a defect (seed ${seed})`, async (t) => {
    const broker = await startTestBroker(t, { topics: { orders: 1 } })
    const random = seededRandom(seed)
    for (const bytes of requests) for (let round = 0; round < 5; round++) await send(broker, damaged(bytes, random))
    await assertUnharmed(broker)
  })
}
