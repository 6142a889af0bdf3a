/** `titorelli dump`: the files of a log, for people. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { addExample } from './api-options.ts'
import { CliFailure, exitStatus, print, type Cli } from './cli.ts'

export function addDumpCommand(program: Command, cli: Cli): void {
  const command = program
    .command('dump')
    .argument('<files...>', '.log, .index, .timeindex, .txnindex, .snapshot, checkpoints')
    .description('Shows what is in files of a partition, and what does not hold in them. Reads files of Kafka too.')
    .option('--records', 'show the records of .log files, not only their batches')
    .action(async (files: readonly string[], options: { records?: boolean }) => {
      for (const file of files) await dumpOne(cli, file, options.records === true)
    })
  addExample(command, 'titorelli dump data/orders-0/00000000000000000000.log --records')
}

async function dumpOne(cli: Cli, path: string, records: boolean): Promise<void> {
  const { dumpFile } = await import('./dump-format.ts') // the codecs: no other command waits for them
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new CliFailure(`can't read ${path}: ${(error as Error).message}`, exitStatus.couldNotTell, { cause: error })
  }
  const dump = dumpFile(path, bytes, { records })
  if (!dump) {
    const known = 'expected .log, .index, .timeindex, .txnindex, .snapshot or a checkpoint'
    throw new CliFailure(`${path} is no file of a log: ${known}`, exitStatus.couldNotTell)
  }
  print(cli, `${path}:`, ...dump.lines)
  if (dump.problems.length === 0) return
  cli.status = exitStatus.failed
  for (const problem of dump.problems) cli.stderr.write(`${path}: ${problem}\n`)
}
