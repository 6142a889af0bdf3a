/** The command line. `bin/titorelli.js` has checked Node and calls `runProcess`; tests call `run`. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { CliFailure, exitStatus, type Cli } from './cli.ts'
import { addBrokerCommands, addClusterCommands } from './cluster-commands.ts'
import { addConfigCommands } from './config-commands.ts'
import { addDemoCommand } from './demo-command.ts'
import { addDumpCommand } from './dump-command.ts'
import { addGroupCommands } from './group-commands.ts'
import { addLinkCommands } from './link-commands.ts'
import { addMirrorCommands } from './mirror-commands.ts'
import { addStartCommand } from './start-command.ts'
import { addTopicCommands } from './topic-commands.ts'

/** Runs one command line (without `node` and the script). Resolves with the exit status; `start` resolves when the broker has stopped. */
export async function run(args: readonly string[], cli: Cli): Promise<number> {
  const program = buildProgram(cli)
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

function buildProgram(cli: Cli): Command {
  const program = new Command('titorelli')
    .description('A Kafka-protocol broker with native mirror topics.')
    .version(cli.version)
    .configureOutput({ writeOut: (text) => cli.stdout.write(text), writeErr: (text) => cli.stderr.write(text) })
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride() // commander would end the process by itself; the commands inherit this
  addStartCommand(program, cli)
  addLinkCommands(program, cli)
  addMirrorCommands(program, cli)
  addTopicCommands(program, cli)
  addGroupCommands(program, cli)
  addConfigCommands(program, cli)
  addClusterCommands(program, cli)
  addBrokerCommands(program, cli)
  addDemoCommand(program, cli)
  addDumpCommand(program, cli)
  return program
}
