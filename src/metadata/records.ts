/**
 * The frame of a record in the metadata log, which is KRaft's: frame version 1, record key and record version as
 * unsigned varints, then the message, and nothing behind it.
 */
import { decodeRecord, encodeRecord, parseVersions } from '../../protocol/compile.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { Reader } from '../../protocol/reader.ts'
import type { RecordType } from '../../protocol/schema.ts'
import { metadataRecordType } from '../../protocol/state/record-types.ts'
import { Writer } from '../../protocol/writer.ts'
import type { MetadataRecord } from './metadata-store.ts'

const frameVersion = 1

/**
 * The version in which records of a type are written: the newest, which `metadata.version` (metadata-version.ts)
 * allows.
 */
function writtenVersion(type: RecordType): number {
  return parseVersions(type.versions).max
}

export function encodeMetadataRecord({ type, value }: MetadataRecord): Uint8Array {
  const version = writtenVersion(type)
  const writer = new Writer(128)
  writer.uvarint(frameVersion)
  writer.uvarint(type.key)
  writer.uvarint(version)
  encodeRecord(type, version, value, writer)
  return writer.toBytes()
}

/**
 * Reads a framed record. Unlike a message of a client, what is not understood here is never skipped: it could be the
 * very record that removed a topic.
 *
 * @throws ProtocolError for any frame, key, version or content that is not known.
 */
export function decodeMetadataRecord(bytes: Uint8Array): MetadataRecord {
  const reader = new Reader(bytes)
  const frame = reader.uvarint()
  if (frame !== frameVersion) throw new ProtocolError(`got frame version ${frame}, expected ${frameVersion}`)
  const key = reader.uvarint()
  const type = metadataRecordType(key)
  if (!type) throw new ProtocolError(`metadata records with key ${key} are not known to this version`)
  const version = reader.uvarint()
  const newest = writtenVersion(type)
  if (version > newest)
    throw new ProtocolError(
      `got version ${version} of ${type.name}, expected ${newest} or less: written by a later version?`,
    )
  return { type, value: decodeRecord(type, version, reader) }
}
