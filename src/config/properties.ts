/** Java's `.properties` format, in which Kafka keeps its configuration and `meta.properties`. */

/**
 * Parses a properties file: `key=value`, `key: value` or `key value`; comments after `#` or `!` at the start of a line;
 * a backslash at the end continues a line; the escapes are \t \n \r \f \uXXXX, any other character stands for itself. A
 * key that comes again replaces the earlier one. Spec: `java.util.Properties.load`.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const end = endOfKey(line)
    const separator = /^[ \t\f]*[=:]?[ \t\f]*/.exec(line.slice(end))![0]
    properties.set(unescape(line.slice(0, end)), unescape(line.slice(end + separator.length)))
  }
  return properties
}

/** Lines without comments and blank lines, continuations joined. */
function* logicalLines(text: string): Generator<string> {
  let pending: string | undefined
  for (const natural of text.split(/\r\n|\r|\n/)) {
    const line = natural.replace(/^[ \t\f]+/, '')
    if (pending === undefined && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue
    const whole: string = (pending ?? '') + line
    const backslashes = /\\*$/.exec(line)![0].length
    if (backslashes % 2 === 1) pending = whole.slice(0, -1)
    else {
      pending = undefined
      yield whole
    }
  }
  if (pending !== undefined && pending !== '') yield pending
}

/** Where the key ends: at the first separator that is not escaped. */
function endOfKey(line: string): number {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (/[=: \t\f]/.test(line[at]!)) return at
  }
  return line.length
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, unicode: string | undefined, letter: string) =>
    unicode === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(unicode, 16)),
  )
}

/** Writes properties in the order of their names, so that the same content is the same bytes. */
export function formatProperties(properties: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries(properties)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escape(key).replaceAll(' ', '\\ ')}=${escape(String(value)).replace(/^ /, '\\ ')}\n`)
  return lines.join('')
}

const letters: Readonly<Record<string, string>> = { '\t': 't', '\n': 'n', '\r': 'r', '\f': 'f' }

function escape(text: string): string {
  return text.replaceAll(/[\\=:#!\t\n\r\f]/g, (letter) => `\\${letters[letter] ?? letter}`)
}
