import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockPool } from '../../storage/block-pool.ts'
import { nodeEnvironment } from '../../src/environment/node-environment.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { Server } from '../../src/network/server.ts'
import { framed } from './frames.ts'
import { Client, startServer, turns } from './served.ts'

test('connections beyond max.connections are refused, and said once', async (t) => {
  const served = await startServer(t, { limits: { connectionMaxCount: 2 } })
  const clients = [await served.connect(), await served.connect(), await served.connect(), await served.connect()]
  await turns()
  assert.deepEqual(
    clients.map(({ isClosed }) => isClosed),
    [false, false, true, true],
  )
  assert.deepEqual(
    served.logged.filter(({ level }) => level === 'warn').map(({ fields }) => fields['reason']),
    ['max.connections is 2'],
  )
  clients[0]?.socket.destroy()
  await turns()
  const next = await served.connect()
  assert.equal(next.isClosed, false)
})

test('connections beyond max.connections.per.ip are refused', async (t) => {
  const served = await startServer(t, { limits: { connectionMaxCountPerAddress: 2 } })
  const clients = [await served.connect(), await served.connect(), await served.connect()]
  clients[0]?.socket.destroy()
  await turns()
  clients.push(await served.connect(), await served.connect())
  await turns()
  assert.deepEqual(
    clients.map(({ isClosed }) => isClosed),
    [true, false, true, false, true],
  )
})

test('close lets waiters answer, sends what is in flight, and refuses newcomers', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  const idle = await served.connect()
  await client.send('long poll', 'append', 'not started')
  served.started[0]?.call.admitNext()
  const { signal } = served.started[0]?.call ?? assert.fail('not started')
  const closed = served.server.close(1000)
  await turns()
  assert.equal(signal.aborted, true)
  assert.equal(idle.isClosed, true)
  await assert.rejects(served.connect(), { code: 'REFUSED' })
  served.started[1]?.answer('appended')
  served.started[0]?.answer('nothing new')
  await closed
  await turns()
  assert.deepEqual(client.answers, ['nothing new', 'appended'])
  assert.equal(client.isClosed, true)
  assert.equal(served.started.length, 2)
})

test('close cuts off what is not done in time', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('never answered')
  const closed = [served.server.close(1000), served.server.close(1000)]
  await served.environment.clock.advance(999)
  assert.equal(served.server.connections.size, 1)
  await served.environment.clock.advance(1)
  await Promise.all(closed)
  assert.equal(served.server.connections.size, 0)
})

test('a thousand idle connections with long polls cost nothing while they wait', async (t) => {
  const served = await startServer(t)
  const clients = await Promise.all(Array.from({ length: 1000 }, () => served.connect()))
  let ended = 0
  for (const client of clients) client.socket.write([framed('poll')])
  await turns()
  for (const { call, answer } of served.started) {
    call.admitNext()
    served.deadlines.add(30_000, () => {
      ended++
      answer('nothing')
    })
  }
  assert.equal(served.environment.clock.timerCount, 1)
  await served.environment.clock.advance(29_999)
  assert.equal(ended, 0)
  await served.environment.clock.advance(1)
  await turns()
  assert.equal(ended, 1000)
  assert.ok(clients.every(({ answers }) => answers.length === 1))
})

test('over TCP: pipelined frames are answered in order, and close ends the connection', async () => {
  const environment = nodeEnvironment({})
  const deadlines = new DeadlineQueue(environment.clock)
  const memory = new MemoryBudget()
  const server = await Server.open(
    { host: '127.0.0.1', port: 0 },
    {
      environment,
      memory,
      blocks: new BlockPool({ limitBytes: 0 }),
      deadlines,
      handler: async (frame, call) => {
        call.admitNext()
        if (frame.byteLength % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
        return [framed(frame)]
      },
    },
  )
  const client = new Client(
    await environment.network.connect({ host: '127.0.0.1', port: server.port }, { timeoutMs: 5000 }),
  )
  const texts = Array.from({ length: 200 }, (_, index) => 'x'.repeat(index * 37))
  client.socket.write(texts.map((text) => framed(text)))
  while (client.answers.length < texts.length) await turns()
  assert.deepEqual(client.answers, texts)
  await server.close(1000)
  while (!client.isClosed) await turns()
  assert.equal(memory.usedBytes, 0)
  deadlines.close()
})

test('over TCP: a reader that stops reading is closed after its time, and its memory comes back', async (t) => {
  const environment = nodeEnvironment({})
  const deadlines = new DeadlineQueue(environment.clock)
  const memory = new MemoryBudget()
  const blocks = new BlockPool({ limitBytes: 0 })
  const answer = [Buffer.alloc(32 * 1024 * 1024)]
  const server = await Server.open(
    { host: '127.0.0.1', port: 0 },
    { environment, memory, blocks, deadlines, handler: async () => answer, limits: { unsentMaxMs: 40 } },
  )
  t.after(async () => {
    deadlines.close()
    await server.close(0)
  })
  const client = await environment.network.connect({ host: '127.0.0.1', port: server.port }, { timeoutMs: 5000 })
  client.write([framed('give me much')])
  while (memory.usedBytesOf('response') === 0) await turns()
  assert.equal(server.connections.size, 1)
  while (server.connections.size > 0) await turns()
  assert.equal(memory.usedBytes, 0)
  client.destroy()
})
