/** `titorelli start`: runs the broker until it is told to stop. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { configErrorText } from '../config/broker-config.ts'
import {
  configFileOf,
  startOptionsOf,
  type EnvironmentVariables,
  type StartFlags,
  type StartOptions,
} from '../config/sources.ts'
import { toJson } from '../json.ts'
import { addExample } from './api-options.ts'
import { bannerOf, type RunningBroker } from './banner.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'
import { settleAfterStart } from './settle.ts'

/** A stop that takes longer is cut off: whoever sent the signal waits at most five seconds. */
const stopMaxMs = 4_500

export function addStartCommand(program: Command, cli: Cli): void {
  const command = program
    .command('start')
    .description('Runs the broker until SIGTERM or SIGINT.')
    .option('--host <host>', 'where to listen (default: 127.0.0.1)')
    .option('--port <port>', 'the port of Kafka clients; 0 picks a free one (default: 9092)')
    .option('--brokers <count>', 'how many brokers to show, at this port and the ones behind it (default: 1)')
    .option('--advertised <host:port>', 'what clients are told to connect to; needed with a wildcard host')
    .option('--http-port <port>', 'the port of the HTTP API; 0 picks a free one (default: 8090)')
    .option('--no-http', 'no HTTP API')
    .option('--data-dir <folder>', 'where the data lives (default: ./data)')
    .option('--memory', 'keep everything in memory: gone when the broker stops')
    .option('--cluster-id <id>', 'the cluster id of a new data folder (default: a random one)')
    .option('--durable', 'sync to the disk before every acknowledgement')
    .option('--config <key=value>', 'a broker config, as in server.properties; repeatable', collect)
    .option('--config-file <file>', 'a server.properties')
    .option('--ready-file <file>', 'write one JSON line there when ready: ports, cluster id, pid')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .action(async (flags: StartFlags) => {
      cli.status = await start(cli, flags)
    })
  addExample(
    command,
    'titorelli start --data-dir /var/lib/titorelli',
    'titorelli start --memory --port 0 --config num.partitions=3',
    'titorelli start --host 0.0.0.0 --advertised broker.example.com:9092',
  )
  command.addHelpText(
    'after',
    '\nFlags win over TITORELLI_* variables, those over KAFKA_* variables, those over the config file.',
  )
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

/** Runs the broker to its end. Returns the exit status. */
async function start(cli: Cli, flags: StartFlags): Promise<number> {
  const options = await readOptions(flags, cli.env)
  const { readyFile } = options
  // Whoever waits for it must not take the one of an earlier run for this one's.
  if (readyFile !== undefined) await inReadyFile(readyFile, () => rm(readyFile, { force: true }))
  const stop = stopSignal()
  const { runBroker } = await import('./run-broker.ts') // the other commands need no broker, and start sooner
  const settle = settleAfterStart()
  const broker = await openWithin(cli, runBroker(options), stop.promise)
  try {
    for (const line of options.summary) cli.stderr.write(`${line}\n`)
    print(cli, ...bannerOf(cli, broker))
    if (readyFile !== undefined) await inReadyFile(readyFile, () => writeReadyFile(readyFile, broker))
    settle(() => broker.connectionCount())
    await stop.promise
  } finally {
    stop.ignore()
    cli.mustExit = true
    await stopWithin(broker, stopMaxMs)
  }
  return exitStatus.ok
}

async function readOptions(flags: StartFlags, env: EnvironmentVariables): Promise<StartOptions> {
  const path = configFileOf(flags, env)
  const file = path === undefined ? undefined : { path, text: await readConfigFile(path) }
  const result = startOptionsOf({ flags, env, file })
  if (result.ok) return result.options
  throw new CliFailure(result.errors.map(configErrorText).join('\n'), exitStatus.couldNotTell)
}

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliFailure(`--config-file ${path}: ${reason}`, exitStatus.couldNotTell, { cause: error })
  }
}

async function inReadyFile(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliFailure(`--ready-file ${path}: ${reason}`, exitStatus.couldNotTell, { cause: error })
  }
}

/** One JSON line, complete as soon as the file is there. */
async function writeReadyFile(path: string, broker: RunningBroker): Promise<void> {
  const { port, ports, httpPort, clusterId } = broker
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, `${toJson({ port, ports, httpPort: httpPort ?? null, clusterId, pid: process.pid })}\n`)
  await rename(unfinished, path)
}

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, as it does by default. */
function stopSignal(): { readonly promise: Promise<void>; ignore(): void } {
  const { promise, resolve: stop } = Promise.withResolvers<void>()
  const onSignal = () => {
    ignore()
    stop()
  }
  const ignore = () => {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return { promise, ignore }
}

/**
 * A signal may come while the broker opens: it waits for that as long as for a stop. A start that is cut off loses
 * nothing.
 */
async function openWithin(cli: Cli, opening: Promise<RunningBroker>, stopped: Promise<void>): Promise<RunningBroker> {
  const cutOff = stopped.then(async () => {
    cli.mustExit = true
    return within(opening, stopMaxMs, 'not started')
  })
  return Promise.race([opening, cutOff])
}

async function stopWithin(broker: RunningBroker, limitMs: number): Promise<void> {
  await within(broker.stop(), limitMs, 'not stopped')
}

async function within<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new CliFailure(`${what} within ${limitMs} ms of the signal; nothing acknowledged is lost`)),
      limitMs,
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
