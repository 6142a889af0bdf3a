/** From `startBroker()` to an answered ApiVersions, in a process that runs: the median is to be 10 ms at most. */
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { startBroker } from '../../src/index.ts'
import { TestClient } from '../../test/support/broker.ts'

const roundCount = Number(process.argv[2] ?? 50)
const network = nodeNetwork(silentLogger)
const samples: number[] = []
let keyCount = 0
for (let round = 0; round < roundCount; round++) {
  const startMs = performance.now()
  const broker = await startBroker()
  const [host, port] = broker.bootstrapServers.split(':')
  const client = new TestClient(await network.connect({ host: host!, port: Number(port) }, { timeoutMs: 1_000 }))
  const request = { clientSoftwareName: 'bench', clientSoftwareVersion: '1' }
  const { apiKeys } = await client.send(ApiVersions, 3, request)
  samples.push(performance.now() - startMs)
  keyCount += apiKeys.length
  client.close()
  await broker.stop()
}
samples.sort((a, b) => a - b)
const at = (share: number): string => samples[Math.floor((samples.length - 1) * share)]!.toFixed(2)
console.log(
  `start to ApiVersions: median ${at(0.5)} ms, p90 ${at(0.9)} ms, max ${at(1)} ms over ${roundCount} (${keyCount})`,
)
