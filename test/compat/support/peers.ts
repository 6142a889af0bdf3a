/**
 * The peers that a run must have met, and what happened to each. A peer is skipped only where what it needs is not on this
 * machine; `run.ts` prints that, and fails when a peer was skipped although its tools are there.
 */
import { appendFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, runCommand } from './processes.ts'

export type PeerName =
  'kcat' | 'librdkafka' | 'kafka-console-producer' | 'kafka-verifiable' | 'kafka' | 'kafkajs' | '@platformatic/kafka'

/** The commands each peer needs: the first list is for one that may be there already. */
const commandsOf: Record<PeerName, { readonly ready: readonly string[]; readonly install: readonly string[] }> = {
  kcat: { ready: ['kcat'], install: ['apt-get'] },
  librdkafka: { ready: [], install: ['python3', 'pip'] },
  'kafka-console-producer': { ready: [], install: ['java', 'mvn'] },
  'kafka-verifiable': { ready: [], install: ['java', 'mvn'] },
  kafka: { ready: [], install: ['java', 'mvn'] },
  kafkajs: { ready: [], install: [] },
  '@platformatic/kafka': { ready: [], install: [] },
}
export const peerNames = Object.keys(commandsOf) as readonly PeerName[]

const folder = new URL('../peers/', import.meta.url)

/** The path of a script in test/compat/peers/. */
export function peerScript(name: string): string {
  return fileURLToPath(new URL(name, folder))
}

/** What is missing for a peer on this machine, or undefined. */
export async function missingFor(peer: PeerName): Promise<string | undefined> {
  const { ready, install } = commandsOf[peer]
  if (ready.length > 0 && (await firstMissing(ready)) === undefined) return undefined
  const missing = await firstMissing(install)
  if (missing !== undefined) return `'${missing}' is not installed`
  if (install.includes('apt-get') && process.getuid?.() !== 0) return `installing ${peer} needs root`
  return undefined
}

async function firstMissing(commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands) {
    if ((await runCommand('bash', ['-c', `command -v ${command}`])).status !== 0) return command
  }
  return undefined
}

/** Brings a peer, or skips the test and says why. Installing takes place once; that it fails is a failure of the test. */
export async function usePeer(t: TestContext, peer: PeerName): Promise<boolean> {
  const missing = await missingFor(peer)
  if (missing !== undefined) {
    report('skipped', peer, missing)
    t.skip(`${peer}: ${missing}`)
    return false
  }
  if (peer === 'kcat') await mustRun(peerScript('kcat-install'), [], { timeoutMs: 300_000 })
  if (peer === 'librdkafka') await mustRun(peerScript('librdkafka-install'), [], { timeoutMs: 300_000 })
  if (peer === 'kafka' || peer === 'kafka-console-producer' || peer === 'kafka-verifiable') {
    await mustRun(peerScript('kafka-install'), [], { timeoutMs: 300_000 })
  }
  report('ran', peer, t.name)
  return true
}

/** Runs a console tool of Apache Kafka to its end. */
export async function kafkaTool(name: string, args: readonly string[], input = ''): Promise<string> {
  const { stdout } = await mustRun(peerScript('kafka-tool'), [name, ...args], { input })
  return stdout
}

function report(what: 'ran' | 'skipped', peer: PeerName, detail: string): void {
  const file = process.env['COMPAT_REPORT']
  if (file !== undefined) appendFileSync(file, `${what}\t${peer}\t${detail}\n`)
}
