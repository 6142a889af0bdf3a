import type { Uuid } from '../../protocol/schema.ts'

/**
 * A version 4 UUID of 16 random bytes, as Kafka prints it. Kafka draws again while the text begins with '-', because
 * tools would take it for an option. The version bits also keep it apart from Kafka's reserved ids, which are almost
 * all zeros.
 */
export function randomUuid(bytes: (count: number) => Uint8Array): Uuid {
  for (;;) {
    const id = Buffer.from(bytes(16))
    id[6] = (id.readUInt8(6) & 0x0f) | 0x40
    id[8] = (id.readUInt8(8) & 0x3f) | 0x80
    const text = id.toString('base64url')
    if (!text.startsWith('-')) return text
  }
}
