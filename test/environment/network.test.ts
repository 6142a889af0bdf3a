import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkError } from '../../src/environment/environment.ts'
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
