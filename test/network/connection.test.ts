import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { framed } from './frames.ts'
import { startServer, turns, type Client, type LogLine, type Pending, type Served } from './served.ts'

const textsStarted = (served: Served): string[] => served.started.map(({ text }) => text)
const warnings = (served: Served): LogLine[] => served.logged.filter(({ level }) => level === 'warn')

test('the next frame starts when the one before it is finished', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('one', 'two')
  assert.deepEqual(textsStarted(served), ['one'])
  served.started[0]?.answer('1')
  await turns()
  assert.deepEqual(textsStarted(served), ['one', 'two'])
  assert.deepEqual(client.answers, ['1'])
})

test('a frame that admits the next one lets it start, and only one', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('one', 'two', 'three')
  served.started[0]?.call.admitNext()
  served.started[0]?.call.admitNext()
  assert.deepEqual(textsStarted(served), ['one', 'two'])
})

test('a produce that waits before its append is not overtaken by a later one', async (t) => {
  const appended: string[] = []
  const created = Promise.withResolvers<void>()
  const served = await startServer(t, {
    handler: async (frame, call) => {
      const text = Buffer.from(frame).toString()
      if (text === 'first') await created.promise // the topic is created on the way
      appended.push(text)
      call.admitNext()
      return [framed(text)]
    },
  })
  const client = await served.connect()
  await client.send('first', 'second')
  assert.deepEqual(appended, [])
  created.resolve()
  await turns()
  assert.deepEqual(appended, ['first', 'second'])
})

test('answers leave in the order of their frames, however they become ready', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('one', 'two', 'three')
  for (let index = 0; index < 3; index++) served.started[index]?.call.admitNext()
  served.started[2]?.answer('3')
  served.started[1]?.answer('2')
  await turns()
  assert.deepEqual(client.answers, [])
  served.started[0]?.answer('1')
  await turns()
  assert.deepEqual(client.answers, ['1', '2', '3'])
  assert.equal(served.memory.usedBytes, 0)
})

test('a frame without an answer does not hold up the answers behind it', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('acks 0', 'two', 'acks 0 again', 'four')
  for (let index = 0; index < 4; index++) served.started[index]?.call.admitNext()
  served.started[1]?.answer('2')
  served.started[3]?.answer('4')
  served.started[2]?.answerNothing()
  served.started[0]?.answerNothing()
  await turns()
  assert.deepEqual(client.answers, ['2', '4'])
})

test('the turn of a frame comes when all before it are answered, or its client is gone', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('long poll', 'current', 'behind')
  const turnsTaken: string[] = []
  const note = async ({ text, call }: Pending) => {
    await call.turn()
    turnsTaken.push(text)
  }
  const notes = [note(served.started[0]!)]
  served.started[0]!.call.admitNext()
  notes.push(note(served.started[1]!))
  await turns()
  assert.deepEqual(turnsTaken, ['long poll'])
  served.started[0]!.answer('l')
  await turns()
  assert.deepEqual(turnsTaken, ['long poll', 'current'])
  served.started[1]!.call.admitNext()
  notes.push(note(served.started[2]!))
  await turns()
  assert.deepEqual(turnsTaken, ['long poll', 'current'])
  client.socket.destroy()
  await Promise.all(notes)
  assert.deepEqual(turnsTaken, ['long poll', 'current', 'behind'])
})

test('nothing starts behind a barrier before it and all before it are answered', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('long poll', 'barrier', 'after')
  served.started[0]?.call.admitNext()
  served.started[1]?.call.setBarrier()
  served.started[1]?.call.admitNext()
  served.started[1]?.answer('b')
  await turns()
  assert.deepEqual(textsStarted(served), ['long poll', 'barrier'])
  served.started[0]?.answer('l')
  await turns()
  assert.deepEqual(textsStarted(served), ['long poll', 'barrier', 'after'])
  assert.deepEqual(client.answers, ['l', 'b'])
})

test('a thousand frames that each admit the next at once do not nest', async (t) => {
  let depth = 0
  let deepest = 0
  const served = await startServer(t, {
    limits: { inFlightMaxCount: 2000 },
    handler: async (frame, call) => {
      deepest = Math.max(deepest, ++depth)
      call.admitNext()
      depth--
      return [frame]
    },
  })
  const client = await served.connect()
  await client.sendBytes(Buffer.concat(Array.from({ length: 1000 }, () => framed(framed('x')))))
  assert.equal(client.answers.length, 1000)
  assert.equal(deepest, 1)
})

test('a stream split at every byte gives the same answers', async (t) => {
  const served = await startServer(t, { handler: async (frame) => [framed(frame)] })
  const stream = Buffer.concat([framed('one'), framed('two')])
  for (let cut = 1; cut < stream.length; cut++) {
    const client = await served.connect()
    client.socket.write([stream.subarray(0, cut)])
    await turns()
    await client.sendBytes(stream.subarray(cut))
    assert.deepEqual(client.answers, ['one', 'two'])
    client.socket.destroy()
  }
})

for (const [name, sizeBytes] of [
  ['negative', -1],
  ['too large', 101],
] as const) {
  test(`a ${name} size closes the connection with one log line, after the answers it owes`, async (t) => {
    const served = await startServer(t, { limits: { frameMaxBytes: 100 } })
    const client = await served.connect()
    const prefix = Buffer.alloc(4)
    prefix.writeInt32BE(sizeBytes)
    await client.sendBytes(Buffer.concat([framed('one'), prefix, framed('never')]))
    served.started[0]?.call.admitNext()
    assert.equal(served.started[0]?.call.signal.aborted, true)
    served.started[0]?.answer('1')
    await turns()
    assert.deepEqual(client.answers, ['1'])
    assert.equal(client.isClosed, true)
    assert.deepEqual(textsStarted(served), ['one'])
    assert.match(String(warnings(served)[0]?.fields['reason']), new RegExp(`got a frame of ${sizeBytes} bytes`))
    assert.equal(warnings(served).length, 1)
    assert.equal(served.memory.usedBytes, 0)
  })
}

test('a frame that fails closes its connection with one log line, after the answers before it and none behind it', async (t) => {
  const served = await startServer(t)
  const other = await served.connect()
  const client = await served.connect()
  await client.send('one', 'broken', 'three', 'four')
  for (let index = 0; index < 4; index++) served.started[index]?.call.admitNext()
  served.started[2]?.answer('3')
  served.started[1]?.fail(new Error('cut short'))
  await turns()
  served.started[3]?.answer('4')
  await turns()
  assert.equal(client.isClosed, false)
  assert.equal(served.memory.usedBytesOf('response'), 0)
  served.started[0]?.answer('1')
  await turns()
  assert.deepEqual(client.answers, ['1'])
  assert.equal(client.isClosed, true)
  assert.equal(other.isClosed, false)
  assert.equal(warnings(served).length, 1)
  assert.equal(served.memory.usedBytes, 0)
})

test('a client that vanishes half-way aborts the signal of its frames and frees its memory', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('long poll')
  await client.sendBytes(framed('a frame that is cut').subarray(0, 9))
  const { call, answer } = served.started[0] ?? assert.fail('not started')
  assert.equal(call.signal.aborted, false)
  client.socket.destroy()
  await turns()
  assert.equal(call.signal.aborted, true)
  assert.equal(served.server.connections.size, 0)
  assert.equal(served.memory.readerCount, 0)
  answer('to nobody')
  await turns()
  assert.equal(served.memory.usedBytes, 0)
})

test('at the limit of frames in flight nothing more starts or is read, until one is answered', async (t) => {
  const served = await startServer(t, { limits: { inFlightMaxCount: 2 } })
  const client = await served.connect()
  await client.send('one', 'two', 'three')
  served.started[0]?.call.admitNext()
  served.started[1]?.call.admitNext()
  await client.sendBytes(Buffer.alloc(1_000_000))
  assert.deepEqual(textsStarted(served), ['one', 'two'])
  assert.ok(served.memory.usedBytes < 200_000, `${served.memory.usedBytes} bytes were read`)
  served.started[0]?.answer('1')
  await turns()
  assert.deepEqual(textsStarted(served).slice(0, 3), ['one', 'two', 'three'])
})

test('what lies here behind a frame that is not done is bounded', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('slow')
  client.socket.write([Buffer.concat(Array.from({ length: 100 }, () => framed(Buffer.alloc(100_000))))])
  for (let round = 0; round < 10; round++) await turns()
  assert.ok(served.memory.usedBytes < 1_000_000, `${served.memory.usedBytes} bytes were read`)
  assert.equal(served.started.length, 1)
})

test('a reader that stops reading is not read from, is counted, and is given up after its time', async (t) => {
  const served = await startServer(t, { limits: { unsentMaxMs: 1000 } })
  const client = await served.connect()
  client.socket.pause()
  await client.send('one', 'two')
  served.started[0]?.answer('x'.repeat(1_000_000))
  await turns()
  assert.deepEqual(textsStarted(served), ['one'])
  assert.ok(served.memory.usedBytesOf('response') >= 1_000_000)
  await served.environment.clock.advance(999)
  assert.equal(served.server.connections.size, 1)
  await served.environment.clock.advance(1)
  await turns()
  assert.equal(served.server.connections.size, 0)
  assert.match(String(warnings(served)[0]?.fields['reason']), /does not take its answers/)
  assert.equal(served.memory.usedBytes, 0)
})

test('a reader that is slow but moves is served', async (t) => {
  const served = await startServer(t, { limits: { unsentMaxMs: 1000 } })
  const client = await served.connect()
  client.socket.pause()
  await client.send('one')
  served.started[0]?.answer('x'.repeat(1_000_000))
  await turns()
  for (let second = 0; second < 5; second++) {
    await served.environment.clock.advance(900)
    client.socket.resume()
    await new Promise((resolve) => setImmediate(resolve))
    client.socket.pause()
  }
  assert.equal(served.server.connections.size, 1)
  client.socket.resume()
  await served.environment.clock.advance(0)
  await turns()
  assert.equal(client.answers[0]?.length, 1_000_000)
  assert.equal(served.memory.usedBytes, 0)
})

test('answers that wait behind a long poll count as memory', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('long poll', 'two')
  served.started[0]?.call.admitNext()
  served.started[1]?.answer('y'.repeat(500))
  await turns()
  assert.equal(served.memory.usedBytesOf('response'), 504)
  assert.equal(served.connection().heldBytes, 504 + 13)
  client.socket.destroy()
  await turns()
  assert.equal(served.memory.usedBytesOf('response'), 0)
})

test('a frame that was handed to a log counts as an append, once, until it is answered, also after its client is gone', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  await client.send('produce')
  const frameBytes = framed('produce').byteLength
  const usedBytes = () => [served.memory.usedBytesOf('request'), served.memory.usedBytesOf('append')]
  assert.deepEqual(usedBytes(), [frameBytes, 0])
  const { call, answer } = served.started[0]!
  call.countAsAppend()
  call.countAsAppend()
  assert.deepEqual(usedBytes(), [0, frameBytes])
  assert.equal(served.connection().heldBytes, frameBytes)
  client.socket.destroy()
  await turns()
  assert.deepEqual(usedBytes(), [0, frameBytes])
  answer('appended')
  await turns()
  assert.equal(served.memory.usedBytes, 0)
  call.countAsAppend()
  assert.equal(served.memory.usedBytes, 0)
})

test('when memory is short the connection that holds most is stopped, and goes on when it is there again', async (t) => {
  const memory = new MemoryBudget({ limitBytes: 1_000_000, linkShareBytes: 0 })
  const served = await startServer(t, { memory })
  const small = await served.connect()
  const large = await served.connect()
  await small.sendBytes(framed(Buffer.alloc(200_000)).subarray(0, 1000))
  memory.reserve('tail', 700_000)
  large.socket.write([framed(Buffer.alloc(2_000_000))])
  await turns()
  const heldBytes = memory.usedBytesOf('request')
  assert.ok(heldBytes < 350_000, `${heldBytes} bytes were read`)
  await small.sendBytes(Buffer.alloc(500))
  assert.equal(memory.usedBytesOf('request'), heldBytes + 500)
  memory.release('tail', 700_000)
  await turns()
  await turns()
  assert.ok(memory.usedBytesOf('request') > heldBytes + 500)
})

test('half a frame that memory pressure holds up is given up after its time', async (t) => {
  const memory = new MemoryBudget({ limitBytes: 1_000_000, linkShareBytes: 0 })
  const served = await startServer(t, { memory, limits: { unsentMaxMs: 1000 } })
  const idle = await served.connect()
  const cut = await served.connect()
  cut.socket.write([framed(Buffer.alloc(3_000_000))])
  await turns()
  await served.environment.clock.advance(1000)
  await turns()
  assert.deepEqual([idle.isClosed, cut.isClosed], [false, true])
  assert.equal(memory.usedBytes, 0)
  assert.match(String(warnings(served)[0]?.fields['reason']), /memory is short/)
})

test('an idle connection is closed after its time, one with a long poll is not', async (t) => {
  const served = await startServer(t, { limits: { idleMaxMs: 1000 } })
  const idle = await served.connect()
  const polling = await served.connect()
  await polling.send('long poll')
  await served.environment.clock.advance(600)
  await idle.send('still here')
  served.started[1]?.answer('yes')
  await served.environment.clock.advance(999)
  assert.equal(served.server.connections.size, 2)
  await served.environment.clock.advance(1)
  await turns()
  assert.deepEqual([idle.isClosed, polling.isClosed], [true, false])
  assert.equal(served.started[0]?.call.signal.aborted, false)
})

for (let seed = 1; seed <= 10; seed++) {
  test(`whatever the order of admissions, barriers and answers, answers follow their frames (seed ${seed})`, async (t) => {
    const random = seededRandom(seed)
    const served = await startServer(t, { limits: { inFlightMaxCount: 5 } })
    const client = await served.connect()
    const texts = Array.from({ length: 60 }, (_, index) => `${index}`)
    const stream = Buffer.concat(texts.map((text) => framed(text)))
    const expected: string[] = []
    const open = new Set<(typeof served.started)[number]>()
    let [sentBytes, seenCount] = [0, 0]
    while (seenCount < texts.length || open.size > 0) {
      const nextBytes = sentBytes + random.below(20)
      await client.sendBytes(stream.subarray(sentBytes, nextBytes))
      sentBytes = nextBytes
      for (const pending of served.started.slice(seenCount)) {
        open.add(pending)
        if (random.below(8) === 0) pending.call.setBarrier()
        if (random.below(4) > 0) expected.push(pending.text)
      }
      seenCount = served.started.length
      assert.ok(open.size <= 5)
      for (const pending of open) {
        if (random.below(3) === 0) pending.call.admitNext()
        if (random.below(3) > 0) continue
        open.delete(pending)
        if (expected.includes(pending.text)) pending.answer(pending.text)
        else pending.answerNothing()
      }
    }
    await turns()
    assert.deepEqual(textsStarted(served), texts)
    assert.deepEqual(client.answers, expected)
    assert.equal(served.memory.usedBytes, 0)
  })
}

test('what an answer is made of is let go when it has left, in the order of answers', async (t) => {
  const served = await startServer(t)
  const client = await served.connect()
  const gone: string[] = []
  await client.send('one', 'two', 'nothing')
  served.started[0]!.call.admitNext()
  served.started[1]!.call.admitNext()
  for (const { text, call } of served.started) call.afterAnswer(() => gone.push(text))
  served.started[2]!.answerNothing()
  served.started[1]!.answer('2')
  await turns()
  assert.deepEqual(gone, ['nothing'])
  served.started[0]!.answer('1')
  await turns()
  assert.deepEqual(gone, ['nothing', 'one', 'two'])
  assert.deepEqual(client.answers, ['1', '2'])
})

for (const [how, end] of [
  ['its client is gone', (client: Client): void => client.socket.destroy()],
  ['a frame before it fails', (_: Client, served: Served): void => served.started[0]!.fail(new Error('broken'))],
] as const) {
  test(`what an answer is made of is let go, once, also when ${how}`, async (t) => {
    const served = await startServer(t)
    const client = await served.connect()
    const gone: string[] = []
    await client.send('one', 'two', 'three')
    served.started[0]!.call.admitNext()
    served.started[1]!.call.admitNext()
    for (const { text, call } of served.started) call.afterAnswer(() => gone.push(text))
    served.started[1]!.answer('2')
    await turns()
    end(client, served)
    await turns()
    served.started[0]!.answer('1')
    served.started[2]!.answer('3')
    await turns()
    assert.deepEqual(gone.toSorted(), ['one', 'three', 'two'])
  })
}
