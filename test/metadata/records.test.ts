import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { TopicRecord } from '../../protocol/state/metadata-records.ts'
import { ImageBuilder, emptyImage } from '../../src/metadata/image.ts'
import { record } from '../../src/metadata/metadata-store.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../src/metadata/records.ts'
import { metadataRecordTypes } from '../../protocol/state/record-types.ts'

/** Frame version 1, key 2, version 0; the name as a compact string, 16 bytes of id, no tagged fields. */
const topicFrame = Buffer.from('010200' + '0474313a' + '000102030405060708090a0b0c0d0e0f' + '00', 'hex')
const topic = record(TopicRecord, { name: 't1:', topicId: 'AAECAwQFBgcICQoLDA0ODw' })

test('a record is framed as KRaft frames it', () => {
  assert.deepEqual(Buffer.from(encodeMetadataRecord(topic)), topicFrame)
  assert.deepEqual(decodeMetadataRecord(topicFrame), topic)
})

test('the worked example of docs/storage-format.md is this frame', () => {
  const page = readFileSync(new URL('../../docs/storage-format.md', import.meta.url), 'utf8')
  const example = page.slice(page.indexOf('the frame of the TopicRecord'), page.indexOf('Each append is written'))
  const parts = [...example.matchAll(/^\| [\d-]+ +\| `([0-9a-f]+)`/gm)].map((match) => match[1])
  assert.equal(parts.join(''), topicFrame.toString('hex'))
})

for (const [what, bytes] of [
  ['frame version 2', Buffer.concat([Buffer.from([2]), topicFrame.subarray(1)])],
  ['an unknown key', Buffer.from('01f8550000', 'hex')],
  ['a later record version', Buffer.concat([Buffer.from([1, 2, 1]), topicFrame.subarray(3)])],
  ['bytes behind the message', Buffer.concat([topicFrame, Buffer.from([0])])],
  ['a cut message', topicFrame.subarray(0, 10)],
  ['nothing at all', Buffer.alloc(0)],
] as const) {
  test(`a frame with ${what} is refused`, () => {
    assert.throws(() => decodeMetadataRecord(bytes), ProtocolError)
  })
}

test('a key above 127 takes two bytes', () => {
  const type = metadataRecordTypes.find(({ key }) => key === 30_000)!
  const bytes = encodeMetadataRecord({
    type,
    value: { linkId: 'AAECAwQFBgcICQoLDA0ODw', name: 'l', sourceClusterId: '' },
  })
  assert.deepEqual([...bytes.subarray(0, 5)], [1, 0xb0, 0xea, 0x01, 0])
})

test('every declared metadata record has a rule for the image, but those around changes of several batches', () => {
  const without = metadataRecordTypes.filter((type) => {
    try {
      new ImageBuilder(emptyImage).replay({ type, value: {} })
      return false
    } catch (error) {
      return error instanceof Error && error.message.startsWith('no rule for metadata record')
    }
  })
  assert.deepEqual(
    without.map(({ name }) => name),
    ['BeginTransactionRecord', 'EndTransactionRecord', 'AbortTransactionRecord'],
  )
})
