/**
 * Frames through a listener and back over TCP, without what they say: client and server share this process and its
 * core.
 */
import { BlockPool } from '../../storage/block-pool.ts'
import { nodeEnvironment } from '../../src/environment/node-environment.ts'
import { DeadlineQueue } from '../../src/network/deadline-queue.ts'
import { MemoryBudget } from '../../src/network/memory-budget.ts'
import { Server } from '../../src/network/server.ts'
import { benchmark, runBenchmarks } from '../support/benchmark.ts'

/** Frames that are on their way at the same time, as a client that pipelines sends them. */
const inFlightMaxCount = 32
const largeBytes = 1024 * 1024

benchmark(
  'requests of 1 MiB, short answers',
  { small: 20, large: 2_000 },
  (count) => exchange({ count, requestBytes: largeBytes, answerBytes: 64 }),
  { bytesEach: largeBytes },
)

benchmark(
  'short requests, answers of 1 MiB',
  { small: 20, large: 2_000 },
  (count) => exchange({ count, requestBytes: 64, answerBytes: largeBytes }),
  { bytesEach: largeBytes },
)

benchmark('short requests, short answers', { small: 100, large: 200_000 }, (count) =>
  exchange({ count, requestBytes: 200, answerBytes: 64 }),
)

/** Returns the bytes that came back, sizes included. */
async function exchange(options: { count: number; requestBytes: number; answerBytes: number }): Promise<number> {
  const { count, requestBytes, answerBytes } = options
  const environment = nodeEnvironment({})
  const deadlines = new DeadlineQueue(environment.clock)
  const answer = [frameOf(answerBytes)]
  const server = await Server.open(
    { host: '127.0.0.1', port: 0 },
    {
      environment,
      memory: new MemoryBudget(),
      blocks: new BlockPool({ limitBytes: 64 * 1024 * 1024 }),
      deadlines,
      handler: async (_frame, call) => {
        call.admitNext()
        call.memory?.release()
        return answer
      },
    },
  )
  const socket = await environment.network.connect({ host: '127.0.0.1', port: server.port }, { timeoutMs: 5_000 })
  const request = [frameOf(requestBytes)]
  let [sentCount, receivedBytes] = [0, 0]
  await new Promise<void>((resolve) => {
    const send = (): void => {
      const answeredCount = Math.floor(receivedBytes / (answerBytes + 4))
      while (sentCount < count && sentCount - answeredCount < inFlightMaxCount) {
        sentCount++
        socket.write(request)
      }
      if (answeredCount === count) resolve()
    }
    socket.start({
      onData: (bytes) => {
        receivedBytes += bytes.byteLength
        send()
      },
      onDrain: () => {},
      onClose: () => {},
    })
    send()
  })
  socket.destroy()
  await server.close(1_000)
  deadlines.close()
  return receivedBytes
}

function frameOf(sizeBytes: number): Uint8Array {
  const frame = new Uint8Array(sizeBytes + 4)
  new DataView(frame.buffer).setInt32(0, sizeBytes)
  return frame
}

if (import.meta.main) await runBenchmarks()
