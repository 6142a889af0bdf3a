/**
 * The JavaScript of the package: `npm run build` writes it to `dist/`, beside the types.
 *
 * What belongs together is one file, as a start pays for every module that is looked for, read and linked: three
 * hundred of them took as long as all the rest. With them go the packages that are not among `dependencies`; those are
 * installed beside this one, as they have native code, or are loaded late. Names and lines stay readable, for stack
 * traces.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown, type OutputChunk } from 'rolldown'

const root = fileURLToPath(new URL('../', import.meta.url))
const dist = join(root, 'dist')
/** What is called from outside, by its path below `dist/`. */
const entries = ['src/index', 'src/cli/main']

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly dependencies?: Readonly<Record<string, string>>
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}

/** Writes the files, and returns what is in them. */
async function bundle(): Promise<readonly OutputChunk[]> {
  const installed = Object.keys(manifestOf(root).dependencies ?? {})
  const bundled = await rolldown({
    input: Object.fromEntries(entries.map((entry) => [entry, join(root, `${entry}.ts`)])),
    platform: 'node',
    external: (specifier) => installed.some((name) => specifier === name || specifier.startsWith(`${name}/`)),
    onLog(level, { message }) {
      if (level !== 'debug') throw new Error(message) // a warning names what would be broken in the package alone
    },
  })
  const { output } = await bundled.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    comments: false,
  })
  return output.filter((part) => part.type === 'chunk')
}

/** The licences of what is in the files but not ours: they ask to come along. */
function noticesOf(chunks: readonly OutputChunk[]): string {
  const folders = new Set<string>()
  for (const path of chunks.flatMap(({ moduleIds }) => moduleIds)) {
    const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path.replaceAll('\\', '/'))
    if (folder) folders.add(folder[0])
  }
  const notices = Array.from(folders, (folder) => {
    const { name, version, license } = manifestOf(folder)
    const file = readdirSync(folder).find((path) => /^licen[cs]e/i.test(path))
    if (file === undefined) throw new Error(`${name} has no file with its licence`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  })
  const rule = `\n${'-'.repeat(80)}\n\n`
  return ['The JavaScript in this folder holds parts of these packages.\n', ...notices.toSorted()].join(rule)
}

if (import.meta.main) {
  const chunks = await bundle()
  writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), noticesOf(chunks))
}
