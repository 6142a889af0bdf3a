/**
 * Holds the log lines of the whole source against docs/logs.md: constant sentences, and fields that mean one thing
 * everywhere.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
/** A call with fields and a sentence; what is in the fields holds no further braces but one level of spread. */
const call = /\blogger\s*\.(debug|info|warn|error)\(\s*\{([^{}]*)\},\s*'([^']*)',?\s*\)/g
const anyCall = /\blogger\s*\.(?:debug|info|warn|error)\(/g

interface Line {
  readonly path: string
  readonly fields: readonly string[]
  readonly sentence: string
}

const sources = ['src', 'storage'].flatMap((directory) =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${directory}/${name}`),
)
const texts = sources.map((path) => [path, readFileSync(join(root, path), 'utf8')] as const)
const lines: readonly Line[] = texts.flatMap(([path, text]) =>
  [...text.matchAll(call)].map(([, , fields = '', sentence = '']) => ({ path, fields: namesOf(fields), sentence })),
)

test('every log line is fields by name and a constant sentence', () => {
  const odd = texts.filter(([, text]) => [...text.matchAll(anyCall)].length !== [...text.matchAll(call)].length)
  assert.deepEqual(
    odd.map(([path]) => path),
    [],
  )
  assert.ok(lines.length > 30)
  for (const { path, sentence } of lines) assert.match(sentence, /^[a-z'].*[^.]$/, `${path}: ${sentence}`)
})

test('docs/logs.md explains every field of a log line, and no other', () => {
  const text = readFileSync(join(root, 'docs/logs.md'), 'utf8')
  const explained = [...text.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!)
  const always = ['level', 'time', 'msg']
  const used = new Set([...always, 'link', ...lines.flatMap(({ fields }) => fields)])
  // What comes with `...`: the loss of a log's end, and why a connection was given up.
  for (const spread of ['lostBytes', 'logEndOffset', 'reason', 'unsentBytes', 'heldBytes']) used.add(spread)
  assert.deepEqual(explained.toSorted(byText), [...used].toSorted(byText))
})

/** The names of the fields of an object literal. */
function namesOf(fields: string): string[] {
  const flat = fields.replaceAll(/\([^()]*\)/g, '')
  return flat
    .split(',')
    .map((field) => field.trim().split(':')[0]!)
    .filter((name) => /^\w+$/.test(name))
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}
