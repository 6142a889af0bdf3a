/** A frame as it goes over the wire: a 4-byte size and its content. */
export function framed(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content)
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(bytes.length)
  return Buffer.concat([prefix, bytes])
}

/** The whole frames at the beginning of a stream, as text. */
export function textsOf(stream: Buffer): string[] {
  const texts: string[] = []
  for (let position = 0; position + 4 <= stream.length;) {
    const end = position + 4 + stream.readInt32BE(position)
    if (end > stream.length) break
    texts.push(stream.toString('utf8', position + 4, end))
    position = end
  }
  return texts
}
