/** What the versions that this broker serves mean to the clients that choose among them in ways of their own. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { handlers } from '../../src/apis/index.ts'
import { inVersions, parseVersions } from '../../protocol/versions.ts'
import { startTestBroker } from '../support/broker.ts'

const require = createRequire(import.meta.url)
/** kafkajs declares no types for these. */
const kafkajsKeys = require('kafkajs/src/protocol/requests/apiKeys.js') as Readonly<Record<string, number>>
const { requests: kafkajsRequests, lookup: kafkajsLookup } = require('kafkajs/src/protocol/requests/index.js') as {
  readonly requests: Readonly<Record<string, KafkajsDefinition>>
  readonly lookup: (versions: object) => (apiKey: number, definition: object) => number
}
interface KafkajsDefinition {
  readonly versions: readonly (string | number)[]
}

const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }

/** The versions that @platformatic/kafka has of each API, by the name of the API in the names of its files. */
function platformaticVersions(): ReadonlyMap<string, readonly number[]> {
  const folder = join(dirname(require.resolve('@platformatic/kafka')), 'apis')
  const versions = new Map<string, number[]>()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const match = /([a-z-]+)-v(\d+)\.js$/.exec(path)
    if (match) versions.set(match[1]!, [...(versions.get(match[1]!) ?? []), Number(match[2])])
  }
  return versions
}

function kebabOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter, at: number) => `${at === 0 ? '' : '-'}${letter.toLowerCase()}`)
}

for (const version of [3, 4]) {
  test(`T9: ApiVersions v${version} succeeds at once, because @platformatic/kafka asks for no lower one`, async (t) => {
    const broker = await startTestBroker(t)
    assert.equal((await broker.send(ApiVersions, version, software)).errorCode, 0)
  })
}

test('T9: of every API, @platformatic/kafka has a version that is served', () => {
  const known = platformaticVersions()
  const met: string[] = []
  for (const { api, versions, advertised } of handlers) {
    const theirs = known.get(kebabOf(api.name))
    if (!theirs) continue
    const { max } = parseVersions(advertised ?? versions)
    const chosen = Math.max(...theirs.filter((version) => version <= max))
    assert(inVersions(versions, chosen), `${api.name} v${chosen} is not among ${versions}`)
    met.push(api.name)
  }
  assert(met.length > 20, met.join(', '))
})

test('T9: of every API, the version that kafkajs picks is served, although it looks at no minimum', () => {
  const advertised = Object.fromEntries(
    handlers.map((handler) => {
      const { min, max } = parseVersions(handler.advertised ?? handler.versions)
      return [handler.api.key, { minVersion: min, maxVersion: max }]
    }),
  )
  const met: string[] = []
  for (const [name, { versions }] of Object.entries(kafkajsRequests)) {
    const handler = handlers.find(({ api }) => api.key === kafkajsKeys[name])
    if (!handler || versions.length === 0) continue
    const picked = kafkajsLookup(advertised)(handler.api.key, { versions, protocol: asVersion })
    assert(inVersions(handler.versions, picked), `${name} v${picked} is not among ${handler.versions}`)
    met.push(name)
  }
  assert(met.length > 20, met.join(', '))
})

function asVersion({ version }: { readonly version: number }): number {
  return version
}
