/** Log levels and the logger that says nothing. The real one, on pino, is in `node-logger.ts`. */
import type { Logger } from './environment.ts'

/** From the most to the least talkative. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Drops every line. The default of embedded brokers. */
export const silentLogger: Logger = {
  debug: drop,
  info: drop,
  warn: drop,
  error: drop,
  child: () => silentLogger,
}

function drop(): void {}
