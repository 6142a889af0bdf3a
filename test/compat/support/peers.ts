/**
 * The peers that a run must have met, and what happened to each. A peer is skipped only where what it needs is not on
 * this machine; `run.ts` prints that, and fails when a peer was skipped although its tools are there.
 */
import * as nodeTest from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, runCommand, type Finished } from './processes.ts'
import { report, type Result } from './report.ts'

const java = ['java', 'mvn']
const python = ['python3', 'pip']
const rust = ['cargo', 'cc', 'make']

/** Client libraries, each with a driver in test/compat/drivers/ and what that needs: the matrix runs them. */
const driverNeeds = {
  java: [...java, 'javac'],
  'franz-go': ['go'],
  sarama: ['go'],
  rskafka: rust,
  rdkafka: rust,
  'confluent-kafka': python,
  aiokafka: python,
  kafkajs: [],
  platformatic: [],
} as const satisfies Record<string, readonly string[]>
export type DriverName = keyof typeof driverNeeds
export const driverNames = Object.keys(driverNeeds) as readonly DriverName[]

/** Kafka's command line tools, by the names that its users type. */
export const toolNames = [
  'kafka-topics',
  'kafka-configs',
  'kafka-console-producer',
  'kafka-console-consumer',
  'kafka-consumer-groups',
  'kafka-groups',
  'kafka-get-offsets',
  'kafka-delete-records',
  'kafka-dump-log',
  'kafka-verifiable-producer',
  'kafka-verifiable-consumer',
  'kafka-log-dirs',
  'kafka-leader-election',
  'kafka-reassign-partitions',
  'kafka-metadata-quorum',
  'kafka-cluster',
  'kafka-features',
  'kafka-producer-perf-test',
  'kafka-consumer-perf-test',
  'kafka-e2e-latency',
  'kafka-broker-api-versions',
] as const
export type ToolName = (typeof toolNames)[number]

export type PeerName = DriverName | ToolName | 'kcat' | 'kafka'
export const peerNames: readonly PeerName[] = ['kcat', 'kafka', ...toolNames, ...driverNames]

/** Newer than its types. */
const getTestContext = Reflect.get(nodeTest, 'getTestContext') as () => TestContext | undefined

const folder = new URL('../peers/', import.meta.url)

/** The path of a script in test/compat/peers/. */
export function peerScript(name: string): string {
  return fileURLToPath(new URL(name, folder))
}

/** What is missing for a peer on this machine, or undefined. */
export async function missingFor(peer: PeerName): Promise<string | undefined> {
  if (peer === 'kcat' && (await firstMissing(['kcat'])) === undefined) return undefined
  const needs = peer === 'kcat' ? ['apt-get'] : peer in driverNeeds ? driverNeeds[peer as DriverName] : java
  const missing = await firstMissing(needs)
  if (missing !== undefined) return `'${missing}' is not installed`
  if (peer === 'kcat' && process.getuid?.() !== 0) return `installing ${peer} needs root`
  return undefined
}

async function firstMissing(commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands) {
    if ((await runCommand('bash', ['-c', `command -v ${command}`])).status !== 0) return command
  }
  return undefined
}

/**
 * Brings a peer, or skips the test and says why. Installing takes place once; that it fails is a failure of the test.
 */
export async function usePeer(t: TestContext, peer: PeerName): Promise<boolean> {
  const missing = await missingFor(peer)
  if (missing !== undefined) {
    report({ peer, what: t.fullName, outcome: 'skipped', reason: missing })
    t.skip(`${peer}: ${missing}`)
    return false
  }
  if (peer === 'kcat') await mustRun(peerScript('kcat-install'), [], { timeoutMs: 300_000 })
  if (peer === 'confluent-kafka') await mustRun(peerScript('librdkafka-install'), [], { timeoutMs: 300_000 })
  if (isOfKafka(peer)) await mustRun(peerScript('kafka-install'), [], { timeoutMs: 300_000 })
  // A tool is met when it runs.
  if (!isTool(peer)) await meets(t, peer)
  return true
}

function isTool(peer: string): peer is ToolName {
  return (toolNames as readonly string[]).includes(peer)
}

function isOfKafka(peer: PeerName): boolean {
  return peer === 'kafka' || isTool(peer)
}

const met = new WeakMap<TestContext, Set<PeerName>>()

/** Has the test, when it ends, noted in the report with the peer. */
async function meets(t: TestContext, peer: PeerName): Promise<void> {
  const known = met.get(t) ?? new Set()
  met.set(t, known)
  if (known.has(peer)) return
  known.add(peer)
  const version = await versionOf(peer)
  const result: Omit<Result, 'outcome'> = { peer, what: t.fullName, ...(version === undefined ? {} : { version }) }
  // To the runner a skipped test is one that passed.
  let reason: string | undefined
  const skip = t.skip.bind(t)
  t.skip = (message = 'skipped') => {
    reason = message
    skip(message)
  }
  t.after(() => {
    if (reason !== undefined) report({ ...result, outcome: 'skipped', reason })
    else report({ ...result, outcome: Reflect.get(t, 'passed') ? 'passed' : 'failed' })
  })
}

/** The version of a peer that is no client library: these say it themselves. */
async function versionOf(peer: PeerName): Promise<string | undefined> {
  if (peer === 'kcat') return (await mustRun(peerScript('kcat-install'), [])).stdout.trim()
  if (!isOfKafka(peer)) return undefined
  return /kafka-([\d.]+)\s*$/.exec((await mustRun(peerScript('kafka-install'), [])).stdout)?.[1]
}

/** Runs a console tool of Apache Kafka to its end, whatever its status, and notes that the test met it. */
export async function runKafkaTool(name: ToolName, args: readonly string[], input = ''): Promise<Finished> {
  await meetsTool(name)
  return await runCommand(peerScript('kafka-tool'), [name, ...args], { input })
}

/** As `runKafkaTool`, and returns what it prints; a status other than 0 throws. */
export async function kafkaTool(name: ToolName, args: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = await runKafkaTool(name, args, input)
  if (status !== 0) throw new Error(`${name} ${args.join(' ')} ended with ${status}: ${stderr || stdout}`)
  return stdout
}

/** Notes that the test that runs now met a tool, for those who start it by themselves. */
export async function meetsTool(name: ToolName): Promise<void> {
  const t = getTestContext()
  if (t) await meets(t, name)
}
