/** What every Network must do, whatever carries the bytes. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { NetworkError, type Listener, type Network, type Socket } from '../../src/environment/environment.ts'

export const host = '127.0.0.1'
const timeoutMs = 5_000

/** One end of a connection, with what came collected. */
class End {
  readonly socket: Socket
  receivedBytes = 0
  drainCount = 0
  readonly closes: (Error | undefined)[] = []
  readonly #pieces: Uint8Array[] = []
  #onChange = (): void => {}

  constructor(socket: Socket, start = true) {
    this.socket = socket
    if (start) this.start()
  }

  start(): void {
    this.socket.start({
      onData: (bytes) => {
        this.#pieces.push(bytes)
        this.receivedBytes += bytes.byteLength
        this.#onChange()
      },
      onDrain: () => {
        this.drainCount++
        this.#onChange()
      },
      onClose: (error) => {
        this.closes.push(error)
        this.#onChange()
      },
    })
  }

  get received(): Buffer {
    return Buffer.concat(this.#pieces)
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve
      })
    }
  }

  closed(): Promise<void> {
    return this.until(() => this.closes.length > 0)
  }
}

/** A connection through a listener of its own, closed when the test ends. */
export async function connected(
  t: TestContext,
  network: Network,
  options: { startServer?: boolean } = {},
): Promise<{ client: End; server: End; listener: Listener }> {
  const accepted = Promise.withResolvers<Socket>()
  const listener = await network.listen({ host, port: 0 }, (socket) => accepted.resolve(socket))
  const client = new End(await network.connect({ host, port: listener.port }, { timeoutMs }))
  const server = new End(await accepted.promise, options.startServer ?? true)
  t.after(async () => {
    client.socket.destroy()
    server.socket.destroy()
    await listener.close()
  })
  return { client, server, listener }
}

/** Lets what is ready happen, a few times over. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

export function networkContract(name: string, create: () => Network): void {
  test(`${name}: bytes arrive in order, in both directions`, async (t) => {
    const { client, server } = await connected(t, create())
    client.socket.write([Buffer.from('one '), Buffer.from('two ')])
    client.socket.write([Buffer.from('three')])
    await server.until(() => server.receivedBytes === 13)
    server.socket.write([Buffer.from('four')])
    await client.until(() => client.receivedBytes === 4)
    assert.equal(server.received.toString(), 'one two three')
    assert.equal(client.received.toString(), 'four')
  })

  test(`${name}: the ends name each other's ports`, async (t) => {
    const { client, server, listener } = await connected(t, create())
    assert.equal(client.socket.remotePort, listener.port)
    assert.equal(server.socket.localPort, listener.port)
    assert.equal(server.socket.remotePort, client.socket.localPort)
    assert.equal(server.socket.remoteAddress, host)
  })

  test(`${name}: what arrived belongs to the receiver`, async (t) => {
    const { client, server } = await connected(t, create())
    const sent = Buffer.from('before')
    client.socket.write([sent])
    await server.until(() => server.receivedBytes === 6)
    sent.write('after!')
    client.socket.write([sent])
    await server.until(() => server.receivedBytes === 12)
    assert.equal(server.received.toString(), 'beforeafter!')
  })

  test(`${name}: nothing is delivered before start`, async (t) => {
    const { client, server } = await connected(t, create(), { startServer: false })
    client.socket.write([Buffer.from('early')])
    await turns()
    assert.equal(server.receivedBytes, 0)
    server.start()
    await server.until(() => server.receivedBytes === 5)
    assert.equal(server.received.toString(), 'early')
  })

  test(`${name}: a large write arrives whole, and drains`, async (t) => {
    const { client, server } = await connected(t, create())
    const large = Buffer.alloc(8 * 1024 * 1024)
    for (let position = 0; position < large.length; position += 4096) large.writeUInt32BE(position, position)
    assert.equal(client.socket.write([large.subarray(0, 3_000_000), large.subarray(3_000_000)]), false)
    await server.until(() => server.receivedBytes === large.length)
    assert.ok(server.received.equals(large))
    await client.until(() => client.drainCount === 1)
    await turns()
    assert.equal(client.socket.bufferedBytes, 0)
  })

  test(`${name}: what was written may change once it is said to be taken, and not before`, async (t) => {
    const { client, server } = await connected(t, create())
    server.socket.pause()
    const [first, second] = [Buffer.alloc(12 * 1024 * 1024, 1), Buffer.alloc(1024, 2)]
    const taken: string[] = []
    client.socket.write([first], () => {
      taken.push('first')
      first.fill(9)
    })
    client.socket.write([second, Buffer.alloc(10, 2)], () => {
      taken.push('second')
      second.fill(9)
    })
    await turns()
    assert.deepEqual(taken, [])
    server.socket.resume()
    await server.until(() => server.receivedBytes === first.length + second.length + 10)
    await client.until(() => client.drainCount > 0)
    await turns()
    assert.deepEqual(taken, ['first', 'second'])
    const { received } = server
    assert.equal(received.indexOf(9), -1)
    assert.equal(received.indexOf(2), first.length)
  })

  test(`${name}: what will never leave is said to be taken too, once`, async (t) => {
    const { client, server } = await connected(t, create())
    server.socket.pause()
    const taken: string[] = []
    client.socket.write([Buffer.alloc(24 * 1024 * 1024)], () => taken.push('cut off'))
    await turns()
    assert.equal(taken.length, 0)
    client.socket.destroy()
    await client.closed()
    client.socket.write([Buffer.alloc(1)], () => taken.push('late'))
    assert.equal(taken.length, 1, 'never from within')
    await turns()
    assert.equal(taken.join(), 'cut off,late')
  })

  test(`${name}: a receiver that pauses makes the sender's buffer grow, until it resumes`, async (t) => {
    const { client, server } = await connected(t, create())
    server.socket.pause()
    const chunk = Buffer.alloc(1024 * 1024, 7)
    for (let count = 0; count < 24; count++) client.socket.write([chunk])
    await turns()
    assert.ok(client.socket.bufferedBytes > 1024 * 1024, `${client.socket.bufferedBytes} bytes`)
    assert.equal(client.drainCount, 0)
    server.socket.resume()
    await server.until(() => server.receivedBytes === 24 * chunk.length)
    await client.until(() => client.drainCount === 1)
  })

  test(`${name}: end closes both ends after what was written has arrived`, async (t) => {
    const { client, server } = await connected(t, create())
    client.socket.write([Buffer.alloc(2 * 1024 * 1024, 1)])
    client.socket.end()
    client.socket.write([Buffer.from('too late')])
    await Promise.all([client.closed(), server.closed()])
    assert.equal(server.receivedBytes, 2 * 1024 * 1024)
    assert.deepEqual([client.closes, server.closes], [[undefined], [undefined]])
  })

  test(`${name}: onClose comes once, also after destroy and end together`, async (t) => {
    const { client, server } = await connected(t, create())
    client.socket.destroy()
    client.socket.destroy()
    client.socket.end()
    await Promise.all([client.closed(), server.closed()])
    await turns()
    assert.equal(client.closes.length, 1)
    assert.equal(server.closes.length, 1)
  })

  test(`${name}: a connection that closed before start says so once it is started`, async (t) => {
    const { client, server } = await connected(t, create(), { startServer: false })
    server.socket.destroy()
    await client.closed()
    await turns()
    server.start()
    await server.closed()
    assert.equal(server.closes.length, 1)
  })

  test(`${name}: a port in use is refused, by its number`, async (t) => {
    const network = create()
    const { listener } = await connected(t, network)
    const failure = await network
      .listen({ host, port: listener.port }, () => {})
      .then(
        () => undefined,
        (error: unknown) => error,
      )
    assert.ok(failure instanceof NetworkError)
    assert.equal(failure.code, 'ADDRESS_IN_USE')
    assert.match(failure.message, new RegExp(`\\b${listener.port}\\b`))
  })

  test(`${name}: a closed listener frees its port at once and leaves open connections alone`, async (t) => {
    const network = create()
    const { client, server, listener } = await connected(t, network)
    await listener.close()
    const again = await network.listen({ host, port: listener.port }, () => {})
    await again.close()
    await assert.rejects(network.connect({ host, port: listener.port }, { timeoutMs }), { code: 'REFUSED' })
    client.socket.write([Buffer.from('still here')])
    await server.until(() => server.receivedBytes === 10)
  })

  test(`${name}: an aborted connect is rejected as such`, async () => {
    const options = { timeoutMs, signal: AbortSignal.abort() }
    await assert.rejects(create().connect({ host, port: 9 }, options), { code: 'ABORTED' })
  })
}
