/**
 * Holds the rules that keep the rooms apart: who may import whom, what only a few files may touch, how long a file may
 * be. The linter holds some of them too, while one types; this one reads the whole tree, type-only imports included.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

/** Rooms of `src`, from the bottom up: a room imports itself and rooms of lower floors. */
const floors: readonly (readonly string[])[] = [
  ['errors', 'json'],
  ['environment'],
  ['network'],
  ['config'],
  ['metadata', 'auth', 'remote', 'metrics'],
  ['topics'],
  ['coordinators'],
  ['groups', 'transactions'],
  ['links'],
  ['apis', 'http'],
  ['broker-nodes'],
  ['broker'],
  ['index', 'cli'], // what is called from outside; the command line starts a broker
]

/** Node's modules that do nothing but compute: anyone may use them. */
const pureModules = ['node:assert', 'node:assert/strict', 'node:buffer', 'node:path', 'node:url', 'node:util']
/** What of a module with more to it may be used anywhere: what computes at once, and always the same. */
const pureNames: Record<string, RegExp> = {
  'node:zlib': /^(?:\w+Sync|constants|crc32|\w+Options)$/,
  'node:module': /^createRequire$/, // for packages that are not there on every machine
  'node:stream': /^Readable$/,
  'node:crypto': /^(?:createHash|createHmac|createCipheriv|createDecipheriv|hash|timingSafeEqual|pbkdf2Sync|hkdfSync)$/,
}
/** Packages, each with the paths that may import it. */
const packages: Record<string, RegExp> = {
  '@solana/buffer-layout': /^(?:protocol|storage)\//,
  '@node-rs/crc32': /^protocol\/crc32c\.ts$/,
  'lz4-napi': /^protocol\/records\//,
  snappy: /^protocol\/records\//,
  pino: /^src\/environment\/node-logger\.ts$/,
  fastify: /^src\/http\//,
  commander: /^src\/cli\//,
}
/** What protocol and storage may import beyond themselves. */
const closedRooms: Record<string, { modules: readonly string[]; files: RegExp }> = {
  protocol: {
    modules: ['node:module', 'node:buffer', 'node:zlib', 'node:assert', 'node:assert/strict'],
    files: /^protocol\//,
  },
  storage: {
    modules: ['node:assert', 'node:assert/strict'],
    files: /^(?:storage\/|protocol\/records\/|protocol\/crc32c\.ts$|protocol\/schema\.ts$)/, // of the schema: what an id is
  },
}
/** The only files that touch the world: the real versions of what Environment hands out, and the command line. */
const worldly = /^(?:(?:storage|src)\/(?:.*\/)?node-[\w-]+\.ts|src\/cli\/.*)$/

const worldlyNames: Record<string, RegExp> = {
  Date: /(?<![\w.#])Date\b(?=[.(])/,
  timers: /(?<![\w.#])(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  performance: /(?<![\w.#])performance\./,
  'Math.random': /\bMath\.random\b/,
  'web crypto': /(?<![\w.#])crypto\./,
  process: /(?<![\w.#])process\./,
  localeCompare: /\.(?:localeCompare|toLocale\w+)\(|\bIntl\./,
  'import()': /(?<![\w.#])import\s*\(/,
  'AbortSignal.timeout and .any': /\bAbortSignal\.(?:timeout|any)\b/,
}
/** What no file may have, and the few that must. */
const bannedNames: Record<string, { pattern: RegExp; except: readonly string[] }> = {
  '64-bit reads that are slow or lose bits': {
    pattern: /\b(?:ns64|nu64|ns64be|nu64be|(?:read|write)Big(?:U?[Ii]nt)64[BL]E)\b/,
    except: [],
  },
  'default exports': { pattern: /\bexport\s+default\b|\bas\s+default\b/, except: [] },
  'code from text': { pattern: /\bnew Function\b|\beval\s*\(/, except: ['protocol/compile.ts'] },
  'syntax that is not erasable': {
    pattern: /^\s*(?:export\s+)?(?:const\s+)?(?:declare\s+)?(?:enum|namespace)\s+\w+\s*\{/m,
    except: [],
  },
}

const lineMaxCount = 500
const columnMaxCount = 120
/** Tables of declarations, which only grow by rows. */
const longTables: readonly string[] = []

interface SourceFile {
  readonly path: string
  /** Without comments. */
  readonly code: string
  /** Without comments and without what strings say. */
  readonly bare: string
  readonly imports: readonly Import[]
}

interface Import {
  /** It runs the imported file when this one is loaded: no type-only import, no `import()`. */
  readonly isLoading: boolean
  readonly specifier: string
  readonly names: readonly string[]
  /** The path from the root, for a file of ours. */
  readonly target: string | undefined
}

/** One string or comment. Slashes and quotes inside regular expressions may confuse it, but never beyond their line. */
const stringsAndComments = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
const fromImport = /\b(?:import|export)\s+(type\s+)?([\w*{][^'";=]*?)\s*\bfrom\s*['"]([^'"]+)['"]/g
const bareImport = /\bimport\s*(\()?\s*['"]([^'"]+)['"]/g

const files = ['protocol', 'storage', 'src'].flatMap(listSources).map(readSource)
const fileByPath = new Map(files.map((file) => [file.path, file]))

test('there are files to look at', () => {
  assert.ok(files.length > 50)
  assert.ok(files.some(({ imports }) => imports.length > 3))
})

test('imports name files that are there, with their ending', () => {
  expectNone((file) =>
    file.imports
      .filter(({ target }) => target !== undefined && !fileByPath.has(target))
      .map(({ specifier }) => specifier),
  )
})

test('protocol and storage import only what their lists allow', () => {
  expectNone((file) => {
    const room = closedRooms[roomOf(file.path)]
    if (!room) return []
    return file.imports
      .filter(({ specifier, target }) => {
        if (target !== undefined) return !room.files.test(target)
        return specifier.startsWith('node:') && !room.modules.includes(specifier) && !worldly.test(file.path)
      })
      .map(({ specifier }) => specifier)
  })
})

test('rooms of src import only rooms below them', () => {
  expectNone((file) => {
    if (!file.path.startsWith('src/')) return []
    const room = srcRoomOf(file.path)
    const isAllowed = (target: string): boolean => {
      if (!target.startsWith('src/')) return /^(?:protocol|storage)\//.test(target)
      return srcRoomOf(target) === room || floorOf(target) < floorOf(file.path)
    }
    return file.imports.flatMap(({ target }) => (target !== undefined && !isAllowed(target) ? [target] : []))
  })
})

test('every room of src has its floor', () => {
  const known = floors.flat()
  expectNone((file) => (file.path.startsWith('src/') && !known.includes(srcRoomOf(file.path)) ? ['no floor'] : []))
})

test('no file loads itself through others', () => {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' > '))
    if (trail.includes(path) || done.has(path)) return
    for (const { target, isLoading } of fileByPath.get(path)?.imports ?? []) {
      if (target !== undefined && isLoading) visit(target, [...trail, path])
    }
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  assert.deepEqual(cycles, [])
})

test('packages are imported only where their row says', () => {
  expectNone((file) =>
    file.imports
      .filter(({ specifier, target }) => target === undefined && !specifier.startsWith('node:'))
      .map(({ specifier }) => specifier)
      .filter((specifier) => !packages[packageOf(specifier)]?.test(file.path)),
  )
})

test('modules that touch the world are imported only by the files that are the world', () => {
  expectNone((file) => {
    if (worldly.test(file.path)) return []
    return file.imports
      .filter(({ specifier, names }) => {
        if (!specifier.startsWith('node:') || pureModules.includes(specifier)) return false
        const pure = pureNames[specifier]
        return !pure || names.some((name) => !pure.test(name))
      })
      .map(({ specifier, names }) => `${names.join(', ')} from ${specifier}`)
  })
})

for (const [name, pattern] of Object.entries(worldlyNames)) {
  test(`${name}: only in the files that are the world`, () => {
    expectNone((file) => (worldly.test(file.path) ? [] : linesWith(file.bare, pattern)))
  })
}

for (const [name, { pattern, except }] of Object.entries(bannedNames)) {
  test(`${name}: in no file`, () => {
    expectNone((file) => (except.includes(file.path) ? [] : linesWith(file.bare, pattern)))
  })
}

test(`files have at most ${lineMaxCount} lines of code, tables of declarations excepted`, () => {
  expectNone((file) => {
    const lineCount = file.code.split('\n').filter((line) => line.trim() !== '').length
    return lineCount > lineMaxCount && !longTables.includes(file.path) ? [`${lineCount} lines`] : []
  })
})

test(`comments fit in ${columnMaxCount} columns, as the formatter has code do`, () => {
  const tooLong = new RegExp(`^(?= *(?:\\*|//|/\\*)).{${columnMaxCount + 1}}`)
  expectNone((file) => linesWith(readFileSync(join(root, file.path), 'utf8'), tooLong))
})

test('exceptions name files that are there', () => {
  const excepted = [...longTables, ...Object.values(bannedNames).flatMap(({ except }) => except)]
  assert.deepEqual(
    excepted.filter((path) => !fileByPath.has(path)),
    [],
  )
})

test('comments and docs name no file that is not there', () => {
  const docs = ['README.md', 'CONTRIBUTING.md', ...listFiles('docs', '.md')].filter((path) =>
    existsSync(join(root, path)),
  )
  const missing: string[] = []
  for (const path of [...docs, ...files.map((file) => file.path)]) {
    const text = readFileSync(join(root, path), 'utf8')
    for (const [, named = ''] of text.matchAll(
      /`((?:src|protocol|storage|test|bench|bin|examples)\/[\w./-]+\.(?:ts|js|md))`/g,
    )) {
      if (!existsSync(join(root, named))) missing.push(`${path}: ${named}`)
    }
  }
  assert.deepEqual(missing, [])
})

test('docs/architecture.md has a row for every room, and for none that is not there', () => {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))
  const named = rows.flatMap((line) => [...line.split('|')[1]!.matchAll(/`([\w/]+)\/`/g)].map(([, room]) => room!))
  const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.deepEqual(
    named.toSorted(byText),
    ['protocol', 'storage', ...rooms.map(({ name }) => `src/${name}`)].toSorted(byText),
  )
})

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}

test('the rules see what they forbid', () => {
  const bad = sourceOf(
    'src/apis/bad.ts',
    `
    import { readFile } from 'node:fs' // import { a } from 'node:net'
    import type {
      Broker,
      Other as Renamed,
    } from '../broker.ts'
    import './side-effect.ts'
    export { x } from "../topics/topics.ts"
    const later = import('fastify')
    const text = 'new Date() in a string'
    const now = Date.now() + view.readBigInt64BE(0)
    `,
  )
  assert.deepEqual(
    bad.imports.map(({ specifier, target, names, isLoading }) => [specifier, target, names, isLoading]),
    [
      ['node:fs', undefined, ['readFile'], true],
      ['../broker.ts', 'src/broker.ts', ['Broker', 'Other'], false],
      ['../topics/topics.ts', 'src/topics/topics.ts', ['x'], true],
      ['./side-effect.ts', 'src/apis/side-effect.ts', [], true],
      ['fastify', undefined, [], false],
    ],
  )
  assert.equal(linesWith(bad.bare, worldlyNames['Date'] as RegExp).length, 1)
  assert.equal(linesWith(bad.bare, worldlyNames['import()'] as RegExp).length, 1)
  assert.equal(linesWith(bad.bare, bannedNames['64-bit reads that are slow or lose bits']?.pattern as RegExp).length, 1)
  assert.ok(floorOf('src/broker.ts') > floorOf('src/apis/bad.ts'))
})

/** Fails with one line per finding: where, and what. */
function expectNone(find: (file: SourceFile) => readonly string[]): void {
  const found = files.flatMap((file) => find(file).map((what) => `${file.path}: ${what}`))
  assert.deepEqual(found, [])
}

function linesWith(text: string, pattern: RegExp): string[] {
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1 }))
  return lines.filter(({ line }) => pattern.test(line)).map(({ line, number }) => `line ${number}: ${line.trim()}`)
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? ''
}

/** `src/apis/fetch.ts` is in the room `apis`, `src/errors.ts` is a room of its own. */
function srcRoomOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '')
}

function floorOf(path: string): number {
  return floors.findIndex((rooms) => rooms.includes(srcRoomOf(path)))
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

function listSources(directory: string): string[] {
  return listFiles(directory, '.ts')
}

function listFiles(directory: string, ending: string): string[] {
  if (!existsSync(join(root, directory))) return []
  const names = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith(ending)).map((name) => `${directory}/${name}`)
}

function readSource(path: string): SourceFile {
  return sourceOf(path, readFileSync(join(root, path), 'utf8'))
}

function sourceOf(path: string, text: string): SourceFile {
  const code = text.replace(stringsAndComments, (match) => (/^\/[/*]/.test(match) ? blank(match) : match))
  const bare = text.replace(stringsAndComments, (match) => (match.startsWith('`') ? match : blank(match)))
  return { path, code, bare, imports: [...importsOf(path, code)] }
}

/** Keeps the line breaks, so that line numbers stay true. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}

function* importsOf(path: string, code: string): Generator<Import> {
  for (const [, type, clause = '', specifier = ''] of code.matchAll(fromImport)) {
    const names = clause.replace(/[{}]/g, '').split(',')
    const imported = names.map((name) =>
      name
        .trim()
        .replace(/^type\s+/, '')
        .replace(/\s+as\s.*$/s, ''),
    )
    yield {
      specifier,
      names: imported.filter((name) => name !== ''),
      target: targetOf(path, specifier),
      isLoading: type === undefined,
    }
  }
  for (const [, parenthesis, specifier = ''] of code.matchAll(bareImport)) {
    yield { specifier, names: [], target: targetOf(path, specifier), isLoading: parenthesis === undefined }
  }
}

function targetOf(path: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : undefined
}
