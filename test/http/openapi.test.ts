import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summariesWithout } from '../../src/http/openapi.ts'
import { buildHttpApp } from '../../src/http/server.ts'
import { fakeParts } from './fake-parts.ts'

interface Operation {
  readonly summary?: string
  readonly parameters: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: object } } }
}
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

async function load(): Promise<{ document: Document; routes: readonly string[] }> {
  const app = buildHttpApp(fakeParts(), new AbortController().signal)
  const { body } = await app.inject({ method: 'GET', url: '/openapi.json' })
  return { document: JSON.parse(body) as Document, routes: routesOf(app.printRoutes({ commonPrefix: false })) }
}

/** The tree that fastify prints, as `GET /path` lines without HEAD. */
function routesOf(tree: string): string[] {
  const routes: string[] = []
  const above: string[] = []
  for (const line of tree.split('\n')) {
    const [, indent = '', path = '', methods] = /^([│├└─ ]*)(\S*)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (path === '') continue
    const depth = indent.length / 4 - 1
    above.splice(depth)
    above.push(path)
    const verbs = (methods ?? '').split(', ').filter((verb) => verb !== '' && verb !== 'HEAD')
    for (const verb of verbs) routes.push(`${verb} ${above.join('')}`)
  }
  return routes
}

test('the OpenAPI document has every route that is served, and no other', async () => {
  const { document, routes } = await load()
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((verb) => `${verb.toUpperCase()} ${path}`),
  )
  const served = routes.map((route) =>
    route.replace(/:(\w+)/g, (all, name: string) => (isVerb(name) ? all : `{${name}}`)),
  )
  assert.ok(served.length > 50)
  assert.deepEqual(described.toSorted(), [...new Set(served)].toSorted())
})

/** What follows a colon that is one. */
function isVerb(name: string): boolean {
  return ['alter', 'failover', 'pause', 'resume'].includes(name)
}

test('every operation has a sentence, its path parameters and its body; every sentence has its route', async () => {
  const { document } = await load()
  const keys: string[] = []
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [verb, { summary, parameters }] of Object.entries(operations)) {
      assert.ok(summary, `${verb} ${path}`)
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      assert.deepEqual(
        parameters.filter((one) => one.in === 'path').map(({ name }) => name),
        named,
      )
      const url = path.replaceAll(/:(?=\w)/g, '::').replaceAll(/\{(\w+)\}/g, ':$1')
      keys.push(`${verb.toUpperCase()} ${url}`)
    }
  }
  assert.deepEqual(summariesWithout(keys), [])
  const create = document.paths['/kafka/v3/clusters/{clusterId}/topics']?.['post']
  assert.match(JSON.stringify(create?.requestBody), /replicas_assignments/)
})
