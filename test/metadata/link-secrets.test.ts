import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Link, LinkConfig, RemoveLink, SealedSecret } from '../../protocol/state/mirror-records.ts'
import type { Logger } from '../../src/environment/environment.ts'
import { nodeClock } from '../../src/environment/node-clock.ts'
import { nodeRandom } from '../../src/environment/node-random.ts'
import { toJson } from '../../src/json.ts'
import { LinkSecrets, secretKeyPath } from '../../src/metadata/link-secrets.ts'
import { LogMetadataStore } from '../../src/metadata/metadata-log.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { NodeDisk } from '../../storage/node-disk.ts'
import { append, idOf } from '../contracts/metadata-store.ts'

const secret = 'org.example.Login required username="u" password="hunter2-ünïcode";'
const where = { linkId: idOf('link'), name: 'sasl.jaas.config' }

interface Opened {
  readonly folder: string
  readonly secrets: LinkSecrets
  /** As after a restart. */
  readonly again: () => LinkSecrets
}

async function openOn(t: TestContext): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'titorelli-secrets-'))
  t.after(() => rm(folder, { recursive: true }))
  const again = () => new LinkSecrets({ disk: new NodeDisk(folder), random: nodeRandom })
  return { folder, secrets: again(), again }
}

test('a sealed secret opens again after a restart, under its own link and name only', async (t) => {
  const { secrets, again } = await openOn(t)
  for (const text of [secret, '', 'x'.repeat(100_000)]) {
    const sealed = await secrets.seal(where, text)
    assert.deepEqual(await again().open(where, sealed), { ok: true, text })
    for (const other of [
      { ...where, linkId: idOf('other') },
      { ...where, name: 'ssl.key.password' },
    ])
      assert.equal((await again().open(other, sealed)).ok, false)
  }
})

test('a sealed secret that was changed in any byte, or cut, does not open', async (t) => {
  const { secrets } = await openOn(t)
  const sealed = await secrets.seal(where, 'hunter2')
  for (let at = 0; at < sealed.length; at++) {
    const changed = new Uint8Array(sealed)
    changed[at]! ^= 1
    const opened = await secrets.open(where, changed)
    assert(!opened.ok)
    assert.match(opened.message, /^the secret config sasl.jaas.config can't be opened: .* another key/)
    assert.equal((await secrets.open(where, sealed.subarray(0, at))).ok, false)
  }
})

test('the same secret never gives the same bytes twice, and they do not hold it', async (t) => {
  const { secrets } = await openOn(t)
  const [a, b] = [await secrets.seal(where, secret), await secrets.seal(where, secret)]
  assert.notDeepEqual(a, b)
  assert(!Buffer.from(a).includes('hunter2'))
})

test('the key file is made with the first secret, by one of many, and is for its owner only', async (t) => {
  const { folder, secrets, again } = await openOn(t)
  await writeFile(join(folder, `${secretKeyPath}.tmp`), 'left by a crash', { mode: 0o644 })
  assert.equal((await secrets.open(where, new Uint8Array(40))).ok, false)
  assert(!(await readdir(folder)).includes(secretKeyPath))
  const sealed = await Promise.all([secret, 'b', 'c'].map((text) => secrets.seal(where, text)))
  assert.equal((await stat(join(folder, secretKeyPath))).mode & 0o777, 0o600)
  assert.match(await readFile(join(folder, secretKeyPath), 'latin1'), /^[0-9a-f]{64}\n$/)
  for (const each of sealed) assert((await again().open(where, each)).ok)
})

test('a key file that is gone or broken is said, and never replaced by a broken one', async (t) => {
  const { folder, secrets, again } = await openOn(t)
  const sealed = await secrets.seal(where, secret)
  const path = join(folder, secretKeyPath)
  await writeFile(path, 'nonsense')
  await assert.rejects(again().open(where, sealed), { code: 'CORRUPT', message: /holds no key/ })
  await assert.rejects(again().seal(where, secret), { code: 'CORRUPT' })
  assert.equal(await readFile(path, 'latin1'), 'nonsense')
  await rm(path)
  const opened = await again().open(where, sealed)
  assert(!opened.ok)
  assert.match(opened.message, /the key file link-secrets.key is missing/)
})

/** The texts of all files below a folder, but the key's. */
async function filesBelow(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name !== secretKeyPath)
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))))
}

test('a stored secret is in no file, image or log line as text, survives snapshots, and goes with its link', async (t) => {
  const { folder, secrets, again } = await openOn(t)
  const lines: string[] = []
  const note = (fields: object, message: string) => void lines.push(toJson({ ...fields, message }))
  const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger }
  const environment = { disk: new NodeDisk(folder), clock: nodeClock, random: nodeRandom, logger }
  const open = () => LogMetadataStore.open(environment, { nodeId: 1, bytesBetweenSnapshots: 1 })
  const store = await open()
  const { linkId, name } = where
  await append(store, [
    record(Link, { linkId, name: 'west', sourceClusterId: 'c' }),
    record(SealedSecret, { linkId, name, sealed: await secrets.seal(where, secret) }),
    record(LinkConfig, { linkId, name, value: name }),
  ])
  await store.close()
  const reopened = await open()
  const link = reopened.image.links.get('west')!
  assert.deepEqual(await again().open(where, link.secrets.get(name)!), { ok: true, text: secret })
  const seen = [
    ...(await filesBelow(folder)),
    Buffer.from(toJson([...link.configs])),
    ...lines.map((line) => Buffer.from(line)),
  ]
  assert(seen.length > 5)
  for (const bytes of seen) assert(!bytes.includes('hunter2'))
  await append(reopened, [record(SealedSecret, { linkId, name, sealed: null })])
  assert.equal(reopened.image.links.get('west')!.secrets.size, 0)
  await append(reopened, [record(RemoveLink, { linkId })])
  assert.equal(reopened.image.links.size, 0)
  await reopened.close()
})
