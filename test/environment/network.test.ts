import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { test, type TestContext } from 'node:test'
import { NetworkError, type Listener, type Socket } from '../../src/environment/environment.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { MemoryNetwork } from '../../src/environment/memory-network.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { networkErrorOf } from '../../src/environment/node-socket.ts'
import { connected, host, networkContract } from '../contracts/network.ts'

networkContract('node', () => nodeNetwork(silentLogger))
networkContract('memory', () => new MemoryNetwork(nodeClock))

const meanings = {
  EADDRINUSE: 'ADDRESS_IN_USE',
  EACCES: 'DENIED',
  ECONNREFUSED: 'REFUSED',
  ENOTFOUND: 'UNRESOLVABLE',
  EAI_AGAIN: 'UNRESOLVABLE',
  ETIMEDOUT: 'TIMED_OUT',
  ECONNRESET: 'IO',
}
for (const [code, meaning] of Object.entries(meanings)) {
  test(`node: ${code} is ${meaning}, and its cause is kept`, () => {
    const cause = Object.assign(new Error('from the system'), { code })
    const error = networkErrorOf(cause, 'connecting to a:1')
    assert.equal(error.code, meaning)
    assert.equal(error.message, 'connecting to a:1: from the system')
    assert.equal(error.cause, cause)
  })
}

test('node: every address of a name is tried', async (t) => {
  const network = nodeNetwork(silentLogger)
  const listener = await network.listen({ host, port: 0 }, (socket) => socket.destroy())
  t.after(() => listener.close())
  const socket = await network.connect({ host: 'localhost', port: listener.port }, { timeoutMs: 5_000 }) // ::1 refuses, where it is first
  socket.destroy()
})

test('node: a connect that nobody answers ends with its time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const pending = nodeNetwork(silentLogger).connect({ host: '192.0.2.1', port: 9 }, { timeoutMs: 700 })
  t.mock.timers.tick(700)
  await assert.rejects(pending, { code: 'TIMED_OUT', message: 'no connection to 192.0.2.1:9 within 700 ms' })
})

for (const side of ['outgoing', 'accepted'] as const) {
  test(`node: an ${side} connection reads into memory that it is given, stops and goes on, and sees the end`, async (t) => {
    const { client, server } = await connect(t)
    const [sender, receiver] = side === 'outgoing' ? [server, client] : [client, server]
    const closed = Promise.withResolvers<Error | undefined>()
    sender.start({ onData: () => {}, onDrain: () => {}, onClose: () => {} })
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
    const received = Buffer.alloc(sent.length + 1) // there is always room
    let [filledBytes, givenBytes] = [0, 0]
    let paused = (): void => {}
    receiver.start({
      onData: () => assert.fail('there is a reader'),
      onDrain: () => {},
      onClose: closed.resolve,
      reader: {
        room: () => received.subarray(filledBytes, (givenBytes = 7_000) + filledBytes),
        filled(sizeBytes) {
          assert.ok(sizeBytes <= givenBytes)
          filledBytes += sizeBytes
          if (filledBytes < 100_000 || filledBytes - sizeBytes >= 100_000) return
          receiver.pause()
          paused()
        },
      },
    })
    const isPaused = new Promise<void>((resolve) => (paused = resolve))
    sender.write([sent])
    sender.end()
    await isPaused
    const pausedAtBytes = filledBytes
    for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
    assert.equal(filledBytes, pausedAtBytes)
    receiver.resume()
    assert.equal(await closed.promise, undefined)
    assert.equal(filledBytes, sent.length)
    assert.ok(received.subarray(0, -1).equals(sent))
  })
}

test('node: where an accepted connection can not read into given memory, its bytes are handed over', async (t) => {
  const { listener, accepted } = await listen(t)
  const client = createConnection({ host, port: listener.port })
  t.after(() => client.destroy())
  const owner = ownerOf('useUserBuffer', Reflect.get(client, '_handle') as object)
  const original = Object.getOwnPropertyDescriptor(owner, 'useUserBuffer')!
  Object.defineProperty(owner, 'useUserBuffer', { value: undefined, configurable: true })
  t.after(() => Object.defineProperty(owner, 'useUserBuffer', original))
  const server = await accepted
  const data = Promise.withResolvers<string>()
  const reader = { room: () => assert.fail('it is not asked'), filled: () => assert.fail('it is not asked') }
  const onData = (bytes: Uint8Array): void => data.resolve(Buffer.from(bytes).toString())
  server.start({ onData, reader, onDrain: () => {}, onClose: () => {} })
  client.write('hello')
  assert.equal(await data.promise, 'hello')
})

test('memory: a cut breaks both ends with an error, and what was under way is lost', async (t) => {
  const network = new MemoryNetwork(nodeClock)
  const { client, server, listener } = await connected(t, network)
  client.socket.write([Buffer.from('lost')])
  network.cut(listener.port)
  await Promise.all([client.closed(), server.closed()])
  assert.ok(client.closes[0] instanceof NetworkError && server.closes[0] instanceof NetworkError)
  assert.equal(server.receivedBytes, 0)
  assert.equal(network.connectionCount, 0)
})

/** The prototype that has this property. */
function ownerOf(name: string, value: object): object {
  return Object.hasOwn(value, name) ? value : ownerOf(name, Object.getPrototypeOf(value) as object)
}

async function listen(t: TestContext): Promise<{ readonly listener: Listener; readonly accepted: Promise<Socket> }> {
  const accepted = Promise.withResolvers<Socket>()
  const listener = await nodeNetwork(silentLogger).listen({ host, port: 0 }, (socket) => accepted.resolve(socket))
  t.after(() => listener.close())
  return { listener, accepted: accepted.promise }
}

/** Both ends of a connection. */
async function connect(t: TestContext): Promise<{ readonly client: Socket; readonly server: Socket }> {
  const { listener, accepted } = await listen(t)
  const client = await nodeNetwork(silentLogger).connect({ host, port: listener.port }, { timeoutMs: 5_000 })
  t.after(() => client.destroy())
  return { client, server: await accepted }
}
