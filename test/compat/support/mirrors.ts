/** What the mirror tests ask of a source and of a mirror. */
import assert from 'node:assert/strict'
import { Admin } from '@platformatic/kafka'
import { eventually } from './processes.ts'
import type { TitorelliProcess } from './titorelli.ts'

export interface MirrorDetails {
  readonly mirror_status: string
  readonly mirror_topic_error: string
  readonly reason: string | null
  readonly partitions: readonly {
    readonly partition: number
    readonly state: string
    readonly lag: number
    readonly log_start_offset: number
    readonly log_end_offset: number
    readonly reason: string | null
  }[]
}

export interface TopicDetails {
  readonly is_read_only: boolean
  readonly partitions: readonly {
    readonly leader_epoch: number
    readonly log_start_offset: number
    readonly last_stable_offset: number
    readonly high_watermark: number
  }[]
}

async function getJson(broker: TitorelliProcess, path: string): Promise<unknown> {
  const response = await fetch(`${broker.httpUrl}/titorelli/v1/clusters/${broker.ready.clusterId}${path}`)
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return await response.json()
}

export async function describeMirror(broker: TitorelliProcess, link: string, topic: string): Promise<MirrorDetails> {
  return (await getJson(broker, `/links/${link}/mirrors/${topic}`)) as MirrorDetails
}

export async function describeTopic(broker: TitorelliProcess, topic: string): Promise<TopicDetails> {
  return (await getJson(broker, `/topics/${topic}`)) as TopicDetails
}

/** The end offsets of a source topic, by partition: its high watermarks, as kafka-get-offsets shows them. */
export async function endOffsets(bootstrap: string, topic: string): Promise<number[]> {
  const admin = new Admin({ clientId: 'compat-platformatic', bootstrapBrokers: [bootstrap], retries: 1 })
  try {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    const partitions = Array.from({ length: topics.get(topic)!.partitionsCount }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: -1n,
    }))
    const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel: 0 })
    const byIndex = listed!.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex)
    return byIndex.map(({ offset }) => Number(offset))
  } finally {
    await admin.close()
  }
}

/** Waits until every partition of a mirror ends where its source does. The source must be idle. */
export async function waitUntilMirrored(source: string, broker: TitorelliProcess, topic: string): Promise<void> {
  const ends = await endOffsets(source, topic)
  await eventually(`${topic} is mirrored up to ${ends.join(', ')}`, async () => {
    const { partitions, mirror_status: status, reason } = await describeMirror(broker, 'west', topic)
    if (status === 'FAILED') throw new Error(`the mirror FAILED: ${reason}`)
    return ends.every((end, at) => partitions[at]?.log_end_offset === end)
  })
}

/** Runs `titorelli mirror verify` and demands the verdict. */
export async function verify(broker: TitorelliProcess, topic: string, verdicts: RegExp = /^identical/): Promise<void> {
  const { status, stdout, stderr } = await broker.cli('mirror', 'verify', topic, '--json')
  assert.equal(status, 0, `mirror verify ${topic}: ${stdout}${stderr}`)
  assert.match((JSON.parse(stdout) as { verdict: string }).verdict, verdicts)
}
