/** `--config key=value,key=value`: what Confluent's command line takes, and repeatable. */
import { CliFailure, exitStatus } from './cli.ts'

/** A comma that begins the next entry; other commas belong to the value (`bootstrap.servers=a:1,b:2`, JSON filters). */
const nextEntry = /,(?=[a-z][a-z0-9._-]*=)/

/** Collects the entries of one occurrence into those before it. A later value of a key wins. */
export function collectConfigs(text: string, before: ReadonlyMap<string, string> = new Map()): Map<string, string> {
  const configs = new Map(before)
  for (const entry of text.split(nextEntry)) {
    const at = entry.indexOf('=')
    if (at < 1) throw new CliFailure(`got --config '${entry}', expected KEY=VALUE`, exitStatus.couldNotTell)
    configs.set(entry.slice(0, at).trim(), entry.slice(at + 1))
  }
  return configs
}
