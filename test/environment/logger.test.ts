import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger, type LogLevel } from '../../src/environment/logger.ts'
import { nodeLogger } from '../../src/environment/node-logger.ts'

function recorder(level: LogLevel): { logger: ReturnType<typeof nodeLogger>; lines: string[] } {
  const lines: string[] = []
  return { lines, logger: nodeLogger({ level, destination: { write: (line) => lines.push(line) } }) }
}

test('a line is JSON with level, time, fields and message', () => {
  const { logger, lines } = recorder('info')
  logger.info({ topic: 'orders' }, 'topic created')
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual({ ...line, time: '' }, { level: 'info', time: '', topic: 'orders', msg: 'topic created' })
})

test('bigints in fields, nested fields and child fields keep every digit', () => {
  const { logger, lines } = recorder('info')
  logger.child({ producerId: 9_007_199_254_740_993n }).info({ offset: 1n, log: { end: 9_007_199_254_740_995n } }, 'm')
  assert.match(lines[0] ?? '', /"producerId":9007199254740993,"offset":1,"log":\{"end":9007199254740995\}/)
})

test('errors are written with their stack and their causes', () => {
  const { logger, lines } = recorder('warn')
  logger.warn({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed')
  const line = JSON.parse(lines[0] ?? '') as { err: { message: string; stack: string; cause: { message: string } } }
  assert.equal(line.err.message, 'outer')
  assert.equal(line.err.cause.message, 'inner')
  assert.match(line.err.stack, /logger\.test\.ts/)
})

test('a field that has no JSON does not throw', () => {
  const { logger, lines } = recorder('info')
  const circle: { self?: unknown } = {}
  circle.self = circle
  logger.info({ circle }, 'm')
  assert.match(lines[0] ?? '', /Circular/)
})

test('lines below the level are dropped', () => {
  const { logger, lines } = recorder('warn')
  logger.info({}, 'quiet')
  logger.debug({}, 'quiet')
  logger.error({}, 'loud')
  assert.equal(lines.length, 1)
})

test('silence is a level', () => {
  const { logger, lines } = recorder('silent')
  logger.error({}, 'nothing')
  assert.equal(logger, silentLogger)
  assert.equal(lines.length, 0)
})
