/** TCP of this machine. */
import { createServer, Socket as TcpSocket, type Server, type SocketConstructorOpts } from 'node:net'
import { NetworkError, type Listener, type Logger, type Network, type Socket } from './environment.ts'
import { connectToAny } from './node-connect.ts'
import { NodeSocket, networkErrorOf } from './node-socket.ts'
import { ReadTarget } from './read-target.ts'

/** How long a connection may be silent before the kernel asks whether the peer is still there. */
const keepAliveProbeDelayMs = 60_000

export function nodeNetwork(logger: Logger): Network {
  return {
    listen: (address, onConnection) => listen(address, onConnection, logger),
    async connect(address, options) {
      const { tcp, target } = await connectToAny(address, options)
      return new NodeSocket(tcp, target)
    },
  }
}

async function listen(
  address: { host: string; port: number },
  onConnection: (socket: Socket) => void,
  logger: Logger,
): Promise<Listener> {
  const options = {
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveProbeDelayMs,
    pauseOnConnect: true, // nothing is read before `start`
  }
  const server = createServer(options, (tcp: TcpSocket) => onConnection(readInto(tcp)))
  const port = await bind(server, address)
  // Out of file descriptors, mostly. The listener itself lives on.
  server.on('error', (err) => logger.warn({ port, err }, 'a connection could not be accepted'))
  return { port, close: () => close(server) }
}

/**
 * What Node keeps behind a connection. It is not documented; where it looks otherwise, Node reads into memory of its
 * own.
 */
interface Handle {
  readonly useUserBuffer?: unknown
}

/**
 * Lets an accepted connection read into given memory. Node offers that (`onread`) for sockets that a program makes
 * itself, not for those that a server hands out; so the connection moves to a socket of ours. Half of what receiving
 * costs is saved by it.
 */
function readInto(tcp: TcpSocket): NodeSocket {
  const accepted = tcp as unknown as { _handle: Handle | null }
  const handle = accepted._handle
  if (typeof handle?.useUserBuffer !== 'function') return new NodeSocket(tcp)
  accepted._handle = null // two sockets must not act on one connection
  const target = new ReadTarget()
  const options = { handle, onread: target.options, pauseOnCreate: true } as object
  return new NodeSocket(new TcpSocket(options as SocketConstructorOpts), target)
}

function bind(server: Server, address: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, address)))
    server.listen({ host: address.host, port: address.port }, () => {
      server.removeAllListeners('error')
      const bound = server.address()
      resolve(typeof bound === 'object' && bound ? bound.port : address.port)
    })
  })
}

function listenError(cause: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): NetworkError {
  switch (cause.code) {
    case 'EADDRINUSE':
      return new NetworkError('ADDRESS_IN_USE', `port ${port} on ${host} is already in use`, { cause })
    case 'EACCES':
      return new NetworkError('DENIED', `not allowed to listen on port ${port} of ${host}`, { cause })
    case 'EADDRNOTAVAIL':
      return new NetworkError('IO', `cannot listen on ${host}:${port}: no such address on this machine`, { cause })
    default:
      return networkErrorOf(cause, `cannot listen on ${host}:${port}`)
  }
}

/** The port is free in the next turn: Node's own callback would wait for all open connections to end. */
function close(server: Server): Promise<void> {
  if (server.listening) server.close()
  return new Promise((resolve) => setImmediate(resolve))
}
