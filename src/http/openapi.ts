/** GET /openapi.json: the routes as they are registered, with their schemas, and a sentence for each. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import { clusterPath, ownPath } from './routes.ts'

const rest = clusterPath
/** What each route is for. A route without a sentence, or a sentence without a route, fails a test. */
const summaries: Readonly<Record<string, string>> = {
  'GET /healthz': 'Tells that the broker serves.',
  'GET /metrics': "Metrics in Prometheus' text format.",
  'GET /openapi.json': 'This document.',
  'GET /kafka/v3/clusters': 'Lists the cluster.',
  [`GET ${rest}`]: 'Shows the cluster.',
  [`GET ${rest}/brokers`]: 'Lists the brokers of the process, those that are down included.',
  [`GET ${rest}/brokers/:broker`]: 'Shows a broker.',
  [`GET ${rest}/brokers/:broker/partition-replicas`]: 'Lists the replicas at a broker.',
  [`GET ${rest}/brokers/:broker/configs`]: 'Lists the configs of a broker.',
  [`GET ${rest}/brokers/:broker/configs/:name`]: 'Shows a config of a broker.',
  [`PUT ${rest}/brokers/:broker/configs/:name`]: 'Sets a config of a broker.',
  [`DELETE ${rest}/brokers/:broker/configs/:name`]: 'Resets a config of a broker to its default.',
  [`POST ${rest}/brokers/:broker/configs::alter`]: 'Changes several configs of a broker at once.',
  [`GET ${rest}/broker-configs`]: 'Lists the configs that were set for all brokers.',
  [`GET ${rest}/broker-configs/:name`]: 'Shows a config of all brokers.',
  [`PUT ${rest}/broker-configs/:name`]: 'Sets a config for all brokers.',
  [`DELETE ${rest}/broker-configs/:name`]: 'Resets a config of all brokers to its default.',
  [`POST ${rest}/broker-configs::alter`]: 'Changes several configs of all brokers at once.',
  [`GET ${rest}/acls`]: 'Refused: there is no authorizer.',
  [`GET ${rest}/topics`]: 'Lists topics.',
  [`POST ${rest}/topics`]: 'Creates a topic.',
  [`GET ${rest}/topics/:topic`]: 'Shows a topic.',
  [`PATCH ${rest}/topics/:topic`]: 'Adds partitions to a topic.',
  [`DELETE ${rest}/topics/:topic`]: 'Deletes a topic.',
  [`GET ${rest}/topics/-/configs`]: 'Lists the configs of all topics.',
  [`GET ${rest}/topics/:topic/configs`]: 'Lists the configs of a topic.',
  [`GET ${rest}/topics/:topic/configs/:name`]: 'Shows a config of a topic.',
  [`PUT ${rest}/topics/:topic/configs/:name`]: 'Sets a config of a topic.',
  [`DELETE ${rest}/topics/:topic/configs/:name`]: 'Resets a config of a topic to its default.',
  [`POST ${rest}/topics/:topic/configs::alter`]: 'Changes several configs of a topic at once.',
  [`GET ${rest}/topics/:topic/partitions`]: 'Lists the partitions of a topic.',
  [`GET ${rest}/topics/:topic/partitions/:partition`]: 'Shows a partition.',
  [`GET ${rest}/topics/:topic/partitions/:partition/replicas`]: 'Lists the replicas of a partition.',
  [`GET ${rest}/topics/:topic/partitions/:partition/replicas/:broker`]: 'Shows a replica.',
  [`GET ${rest}/topics/-/partitions/-/reassignment`]: 'Lists running reassignments: there are none.',
  [`GET ${rest}/topics/:topic/partitions/-/reassignment`]: 'The same for a topic.',
  [`GET ${rest}/topics/:topic/partitions/:partition/reassignment`]: 'Answers 404, as there is no reassignment.',
  [`POST ${rest}/topics/:topic/records`]: 'Produces a record.',
  [`GET ${rest}/consumer-groups`]: 'Lists groups.',
  [`GET ${rest}/consumer-groups/:group`]: 'Shows a group.',
  [`DELETE ${rest}/consumer-groups/:group`]: 'Deletes a group without members, and its offsets.',
  [`GET ${rest}/consumer-groups/:group/consumers`]: 'Lists the members of a group.',
  [`GET ${rest}/consumer-groups/:group/consumers/:consumer`]: 'Shows a member.',
  [`GET ${rest}/consumer-groups/:group/consumers/:consumer/assignments`]: 'Lists the partitions that a member reads.',
  [`GET ${rest}/consumer-groups/:group/consumers/:consumer/assignments/:topic/partitions/:partition`]:
    'Shows a partition that a member reads.',
  [`GET ${rest}/consumer-groups/:group/lags`]: 'Lists the lags of a group, one per committed offset.',
  [`GET ${rest}/consumer-groups/:group/lags/:topic/partitions/:partition`]: 'Shows the lag at a partition.',
  [`GET ${rest}/consumer-groups/:group/lag-summary`]: 'Shows the largest lag of a group, and their sum.',
  [`GET ${rest}/links`]: 'Lists cluster links.',
  [`POST ${rest}/links`]: 'Creates a cluster link.',
  [`GET ${rest}/links/:link`]: 'Shows a cluster link.',
  [`DELETE ${rest}/links/:link`]: 'Deletes a cluster link.',
  [`GET ${rest}/links/:link/configs`]: 'Lists the configs of a cluster link.',
  [`GET ${rest}/links/:link/mirrors`]: 'Lists the mirror topics of a link; - stands for all links.',
  [`POST ${rest}/links/:link/mirrors`]: 'Creates a mirror topic.',
  [`GET ${rest}/links/:link/mirrors/:mirror`]: 'Shows a mirror topic.',
  [`POST ${rest}/links/:link/mirrors::failover`]: 'Makes mirror topics writable.',
  [`POST ${rest}/links/:link/mirrors::pause`]: 'Pauses mirror topics.',
  [`POST ${rest}/links/:link/mirrors::resume`]: 'Resumes mirror topics.',
  [`GET ${ownPath}/brokers`]: 'Lists the brokers of the process, and whether they are up.',
  [`POST ${ownPath}/brokers/:brokerId/down`]: 'Takes a broker down.',
  [`POST ${ownPath}/brokers/:brokerId/up`]: 'Brings a broker up again.',
  [`GET ${ownPath}/topics`]: 'Lists topics with the offsets of their partitions.',
  [`GET ${ownPath}/topics/:topic`]: 'Shows a topic with the offsets of its partitions.',
  [`POST ${ownPath}/topics/:topic/partitions/:partition/leader`]: 'Lets another broker lead a partition.',
  [`GET ${ownPath}/links/:link/mirrors/:mirror`]: 'Shows a mirror topic, and why it waits.',
  [`POST ${ownPath}/groups/:group/offsets`]: 'Sets committed offsets of a group without members.',
  [`POST ${ownPath}/links/:link/mirrors/:mirror/verify`]: 'Compares a mirror topic with its source.',
}

interface Schema {
  readonly body?: object
  readonly querystring?: {
    readonly properties?: Readonly<Record<string, object>>
    readonly required?: readonly string[]
  }
}

/** Collects what is registered from now on, and serves it. */
export function addOpenApi(app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))
  let document: object | undefined
  app.get('/openapi.json', () => (document ??= documentOf(routes)))
}

/** The sentences that no route has. */
export function summariesWithout(paths: readonly string[]): string[] {
  return Object.keys(summaries).filter((key) => !paths.includes(key))
}

function documentOf(routes: readonly RouteOptions[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const { method, url, schema } of routes) {
    for (const verb of [method].flat().filter((one) => one !== 'HEAD')) {
      const path = pathOf(url)
      paths[path] = { ...paths[path], [verb.toLowerCase()]: operationOf(`${verb} ${url}`, (schema ?? {}) as Schema) }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Titorelli',
      version: '3',
      description: "Paths below /kafka/v3 have the shapes of Confluent's REST API v3; the others are our own.",
    },
    paths,
    components: {
      schemas: {
        Error: {
          type: 'object',
          required: ['error_code', 'message'],
          properties: { error_code: { type: 'integer' }, message: { type: 'string' } },
        },
      },
    },
  }
}

/** `/a/:b::alter` as `/a/{b}:alter`. */
function pathOf(url: string): string {
  return url
    .replaceAll('::', '\u0000')
    .replaceAll(/:(\w+)/g, '{$1}')
    .replaceAll('\u0000', ':')
}

function operationOf(route: string, { body, querystring }: Schema): object {
  const named = [...route.replaceAll('::', '').matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const asked = Object.entries(querystring?.properties ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: querystring?.required?.includes(name) ?? false,
    schema,
  }))
  const error = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  return {
    summary: summaries[route],
    parameters: [...named, ...asked],
    ...(body && { requestBody: { content: { 'application/json': { schema: body } } } }),
    responses: {
      '2XX': { description: 'Done.' },
      default: { description: 'What went wrong.', content: error },
    },
  }
}
