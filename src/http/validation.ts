/**
 * Checks requests against the schemas of their routes with Fastify's own compiler, which is loaded, and a schema
 * compiled, when a request first needs it. At the start it would cost 70 ms and 10 MB for the schemas of all routes.
 */
import { createRequire } from 'node:module'
import type { FastifyServerOptions } from 'fastify'
import { toJson } from '../json.ts'

type Factories = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>
/**
 * What Fastify uses of a validator: false, and why, for data that does not fit. It may change the data: defaults,
 * coercion.
 */
interface Validate {
  (data: unknown): unknown
  errors?: unknown
}
type Compile = (route: unknown) => Validate
type BuildCompiler = (schemas: unknown, options: unknown) => Compile

/** Gives each route a function that becomes its validator at the first call. */
const buildLater: BuildCompiler = (schemas, options) => {
  let compile: Compile | undefined
  return (route) => {
    let compiled: Validate | undefined
    const validate: Validate = (data) => {
      compile ??= loadCompiler()(schemas, options)
      compiled ??= compile(route)
      const outcome = compiled(data)
      validate.errors = compiled.errors
      return outcome
    }
    return validate
  }
}

/** It is a dependency of fastify, so that it is looked for from there. */
function loadCompiler(): BuildCompiler {
  const fastifyPath = createRequire(import.meta.url).resolve('fastify')
  const compiler = createRequire(fastifyPath)('@fastify/ajv-compiler') as () => BuildCompiler
  return compiler()
}

/** No route declares its answers: the serializer of all of them is JSON with bigints. */
export const compilersFactory = {
  buildValidator: buildLater,
  buildSerializer: () => () => toJson,
} as unknown as Factories
