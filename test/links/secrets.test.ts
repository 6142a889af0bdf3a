import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { LinkSecrets } from '../../src/metadata/link-secrets.ts'
import { startTestBroker } from '../support/broker.ts'
import { linkName, startMirrorPair } from '../support/mirror.ts'

const jaas = 'org.example.PlainLoginModule required username="u" password="correct horse battery staple";'

/** Every byte that the disk holds. */
async function everything(disk: MemoryDisk, directory = ''): Promise<string> {
  let text = ''
  for (const entry of await disk.list(directory)) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`
    text += entry.isDirectory ? await everything(disk, path) : Buffer.from(await disk.readFile(path)).toString('latin1')
  }
  return text
}

test('a secret config of a link is in no file, log line or description, and opens again after a restart', async (t) => {
  const disk = new MemoryDisk((run) => nodeClock.defer(run))
  const linkConfigs = { 'sasl.jaas.config': jaas }
  const pair = await startMirrorPair(t, { topics: { orders: 1 }, linkConfigs, mirror: { disk } })
  const { links, parts } = pair.mirror.broker
  const entry = links.listLinkConfigs(linkName).find(({ name }) => name === 'sasl.jaas.config')!
  assert.deepEqual([entry.value, entry.isSensitive, entry.isDefault], ['[hidden]', true, false])
  const toText = (_key: string, value: unknown) => {
    if (typeof value === 'bigint') return `${value}`
    return value instanceof Map ? [...value] : value
  }
  assert(!JSON.stringify(links.listLinks(), toText).includes('battery'))
  assert(!JSON.stringify([...parts.metadata.image.links], toText).includes('battery'))
  assert(!JSON.stringify(pair.mirror.log, toText).includes('battery'))
  await pair.mirror.broker.stop()
  assert(!(await everything(disk)).includes('battery'))

  const { network } = pair
  const again = await startTestBroker(t, { disk, network, host: 'again.test', port: 9099, seed: 77 })
  const { linkId, secrets } = again.broker.parts.metadata.image.links.get(linkName)!
  const sealed = secrets.get('sasl.jaas.config')!
  const opened = await new LinkSecrets(again.environment).open({ linkId, name: 'sasl.jaas.config' }, sealed)
  assert.deepEqual(opened, { ok: true, text: jaas })
})
