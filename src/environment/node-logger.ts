/** Logs as JSON lines, through pino. */
import { pino } from 'pino'
import { toJson } from '../json.ts'
import type { Logger } from './environment.ts'
import { silentLogger, type LogLevel } from './logger.ts'

export interface NodeLoggerOptions {
  readonly level: LogLevel
  /** Where lines go; standard error when left out, so that standard output stays the command's own. */
  readonly destination?: { write(line: string): void }
}

/**
 * A logger whose lines carry level, time and fields. `err` is an Error, written with stack and causes.
 * Lines are written synchronously: the last one before a crash is not lost.
 */
export function nodeLogger(options: NodeLoggerOptions): Logger {
  const { level } = options
  if (level === 'silent') return silentLogger
  const destination = options.destination ?? pino.destination({ fd: 2, sync: true })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    destination,
  )
  // pino's own stringify gives up on bigints before its fallback does them; children inherit this one.
  Object.assign(logger, { [pino.symbols.stringifySym]: fieldJson })
  return logger
}

/** A log line must never throw, so what has no JSON (a circle) goes to pino's own careful serializer. */
function fieldJson(value: unknown, stringifySafe: (value: unknown) => string): string {
  try {
    return toJson(value)
  } catch {
    return stringifySafe(value)
  }
}
