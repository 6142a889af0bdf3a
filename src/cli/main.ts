/** The command line. `bin/titorelli.js` has checked Node and calls `runProcess`; tests call `run`. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { CliFailure, exitStatus, type Cli } from './cli.ts'

type AddCommand = (program: Command, cli: Cli) => void

/**
 * The commands in the order of the help, each with what loads its code: a broker needs none of the others, and starts
 * sooner.
 */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  start: async () => (await import('./start-command.ts')).addStartCommand,
  link: async () => (await import('./link-commands.ts')).addLinkCommands,
  mirror: async () => (await import('./mirror-commands.ts')).addMirrorCommands,
  topic: async () => (await import('./topic-commands.ts')).addTopicCommands,
  group: async () => (await import('./group-commands.ts')).addGroupCommands,
  config: async () => (await import('./config-commands.ts')).addConfigCommands,
  cluster: async () => (await import('./cluster-commands.ts')).addClusterCommands,
  broker: async () => (await import('./cluster-commands.ts')).addBrokerCommands,
  demo: async () => (await import('./demo-command.ts')).addDemoCommand,
  dump: async () => (await import('./dump-command.ts')).addDumpCommand,
}

/**
 * Runs one command line (without `node` and the script). Resolves with the exit status; `start` resolves when the
 * broker has stopped.
 */
export async function run(args: readonly string[], cli: Cli): Promise<number> {
  const program = await buildProgram(args[0], cli)
  try {
    await program.parseAsync(args, { from: 'user' })
    return cli.status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.ok : exitStatus.couldNotTell
    if (!(error instanceof CliFailure)) throw error
    cli.stderr.write(`titorelli: ${error.message}\n`)
    return error.status
  }
}

/** What `bin/titorelli.js` calls. */
export async function runProcess(process: NodeJS.Process): Promise<void> {
  const packageRoot = findPackageRoot()
  const { version } = JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string }
  const { stdout, stderr, env } = process
  const cli: Cli = { stdout, stderr, env, packageRoot, version, status: exitStatus.ok }
  process.exitCode = await run(process.argv.slice(2), cli)
  if (cli.mustExit) process.exit()
}

/** From src/cli/ in the repository, from dist/src/cli/ in the package. */
function findPackageRoot(): URL {
  const isBuilt = fileURLToPath(import.meta.url).endsWith('.js')
  return new URL(isBuilt ? '../../../' : '../../', import.meta.url)
}

/** With the command that is called; with all of them where it is none of them, for the help and for suggestions. */
async function buildProgram(called: string | undefined, cli: Cli): Promise<Command> {
  const program = new Command('titorelli')
    .description('A Kafka-protocol broker with native mirror topics.')
    .version(cli.version)
    .configureOutput({ writeOut: (text) => cli.stdout.write(text), writeErr: (text) => cli.stderr.write(text) })
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride() // commander would end the process by itself; the commands inherit this
  const names = called !== undefined && Object.hasOwn(commands, called) ? [called] : Object.keys(commands)
  for (const name of names) (await commands[name]!())(program, cli)
  return program
}
