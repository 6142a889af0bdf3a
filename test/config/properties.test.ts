import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProperties, parseProperties } from '../../src/config/properties.ts'

function parsed(text: string): Record<string, string> {
  return Object.fromEntries(parseProperties(text))
}

test('keys end at the first separator that is not escaped', () => {
  assert.deepEqual(parsed('a=1\nb : 2\nc 3\nd\t=\t4\ne\\=f=5\ng=h=i\nj'), {
    a: '1',
    b: '2',
    c: '3',
    d: '4',
    'e=f': '5',
    g: 'h=i',
    j: '',
  })
})

test('comments and blank lines are skipped, and are not continued', () => {
  assert.deepEqual(parsed('# a=1 \\\nb=2\n! c=3\n\n   \n  d=4\r\ne=5\rf=6'), { b: '2', d: '4', e: '5', f: '6' })
})

test('a backslash at the end continues a line, two do not', () => {
  assert.deepEqual(parsed('a=1,\\\n    2,\\\r\n 3\nb=x\\\\\nc=4\nd=5\\'), { a: '1,2,3', b: 'x\\', c: '4', d: '5' })
})

test('a comment mark on a continued line is part of the value', () => {
  assert.deepEqual(parsed('a=1\\\n#2'), { a: '1#2' })
})

test('escapes are those of Java', () => {
  assert.deepEqual(parsed(String.raw`a=\t\n\u00e9\q\:` + '\nb=\\ x '), { a: '\t\né' + 'q:', b: ' x ' })
})

test('of two values of one key the later counts', () => {
  assert.deepEqual(parsed('a=1\na=2'), { a: '2' })
})

test('what is written reads back', () => {
  const name = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', '.', '=', ':', ' ', '#', '!', '\\', '\t') })
  fc.assert(
    fc.property(
      fc.dictionary(
        name,
        fc.string({ unit: fc.constantFrom('x', 'é', ' ', '=', ':', '#', '!', '\\', '\t', '\n', '\r', '\f') }),
        { noNullPrototype: true },
      ),
      (properties) => {
        assert.deepEqual(parsed(formatProperties(properties)), properties)
      },
    ),
  )
})
