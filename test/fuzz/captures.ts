/** What real clients sent, see test/golden/captures. */
import { readFileSync } from 'node:fs'

/** One stream per connection, each as its frames, with their sizes in front. */
export function loadCaptures(): readonly (readonly Uint8Array[])[] {
  const text = readFileSync(new URL('../golden/captures/clients.json', import.meta.url), 'utf8')
  const captures = JSON.parse(text) as { readonly streams: readonly string[] }[]
  return captures.flatMap(({ streams }) => streams.map((stream) => framesOf(Buffer.from(stream, 'base64'))))
}

function framesOf(stream: Buffer): Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let at = 0; at < stream.length;) {
    const end = at + 4 + stream.readInt32BE(at)
    frames.push(Uint8Array.from(stream.subarray(at, end)))
    at = end
  }
  return frames
}
