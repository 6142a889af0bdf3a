/** The package as its users have it: what `npm pack` yields, installed in a folder of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mustRun } from './processes.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

export interface Packed {
  readonly tarball: string
  /** Of the files in it. */
  readonly paths: readonly string[]
}

/** An environment in which `node`, and what npm and npx run, is this one. */
export function withNode(nodePath: string): { readonly PATH: string } {
  return { PATH: `${dirname(nodePath)}:${process.env['PATH']}` }
}

/** Builds and packs the package into a folder. */
export async function pack(folder: string): Promise<Packed> {
  const args = ['pack', '--json', '--pack-destination', folder]
  const { stdout } = await mustRun('npm', args, { cwd: root, env: withNode(process.execPath), timeoutMs: 300_000 })
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ]
  return { tarball: join(folder, filename), paths: files.map(({ path }) => path) }
}

/**
 * Installs packages in a new, empty folder, which becomes an ES module project. Returns the folder of their commands.
 */
export async function installIn(
  folder: string,
  packages: readonly string[],
  nodePath = process.execPath,
): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const args = ['install', '--no-audit', '--no-fund', ...packages]
  await mustRun('npm', args, { cwd: folder, env: withNode(nodePath), timeoutMs: 300_000 })
  return join(folder, 'node_modules', '.bin')
}

/** Installs a Node of this version in a new, empty folder. Returns the path of its executable. */
export async function installNode(folder: string, version: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  // The package fetches the executable for the machine when it is installed.
  await writeFile(join(folder, 'package.json'), '{"private":true,"allowScripts":{"node":true}}')
  const args = ['install', '--no-audit', '--no-fund', `node@${version}`]
  await mustRun('npm', args, { cwd: folder, env: withNode(process.execPath), timeoutMs: 300_000 })
  return join(folder, 'node_modules', 'node', 'bin', 'node')
}
