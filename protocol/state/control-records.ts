/**
 * Keys and values of control records: transaction markers, and those of the metadata log and its snapshots.
 */
import { array, defineRecord, int16, int32, int64, string, struct, uint16, uuid } from '../schema.ts'

/** What follows the version in the key of a control record. Spec: Kafka `ControlRecordTypeSchema.json`. */
export const ControlRecordTypeSchema = defineRecord({
  name: 'ControlRecordTypeSchema',
  key: -1,
  versions: '0-0',
  flexible: 'none',
  fields: {
    type: int16(
      '0 abort, 1 commit, 2 leader change, 3 snapshot header, 4 snapshot footer, 5 quorum version, 6 voters.',
    ),
  },
})

/**
 * Value of the control record that ends a transaction in a partition; commit or abort stands in the key.
 * Spec: Kafka `EndTxnMarker.json`.
 */
export const EndTxnMarker = defineRecord({
  name: 'EndTxnMarker',
  key: -1,
  versions: '0-0',
  flexible: 'none',
  fields: { coordinatorEpoch: int32('Epoch of the transaction coordinator that wrote it.') },
})

const voter = {
  voterId: int32('Node id of the voter.'),
  voterDirectoryId: uuid('Id of the metadata directory of the voter.', { versions: '1+' }),
}

/**
 * The control record with which a leader of the metadata log begins its epoch.
 * Spec: Kafka `LeaderChangeMessage.json`.
 */
export const LeaderChangeMessage = defineRecord({
  name: 'LeaderChangeMessage',
  key: -1,
  versions: '0-1',
  flexible: '0+',
  fields: {
    version: int16('Version of this record.'),
    leaderId: int32('Node id of the leader.'),
    voters: array('The voters of the quorum.', voter),
    grantingVoters: array('The voters that elected the leader.', voter),
  },
})

/** The control record that begins a metadata snapshot. Spec: Kafka `SnapshotHeaderRecord.json`. */
export const SnapshotHeaderRecord = defineRecord({
  name: 'SnapshotHeaderRecord',
  key: -1,
  versions: '0-0',
  flexible: '0+',
  fields: {
    version: int16('Version of this record.'),
    lastContainedLogTimestamp: int64('Append time of the last record in the snapshot, in milliseconds since 1970.'),
  },
})

/**
 * The control record that ends a metadata snapshot: without it the snapshot is cut.
 * Spec: Kafka `SnapshotFooterRecord.json`.
 */
export const SnapshotFooterRecord = defineRecord({
  name: 'SnapshotFooterRecord',
  key: -1,
  versions: '0-0',
  flexible: '0+',
  fields: { version: int16('Version of this record.') },
})

/** The control record that sets the version of the quorum protocol. Spec: Kafka `KRaftVersionRecord.json`. */
export const KRaftVersionRecord = defineRecord({
  name: 'KRaftVersionRecord',
  key: -1,
  versions: '0-0',
  flexible: '0+',
  fields: {
    version: int16('Version of this record.'),
    kRaftVersion: int16('Version of the quorum protocol: 0 static voters, 1 voters in the log.'),
  },
})

/** The control record that sets the voters of the quorum. Spec: Kafka `VotersRecord.json`. */
export const VotersRecord = defineRecord({
  name: 'VotersRecord',
  key: -1,
  versions: '0-0',
  flexible: '0+',
  fields: {
    version: int16('Version of this record.'),
    voters: array('The voters of the quorum.', {
      voterId: int32('Node id of the voter.'),
      voterDirectoryId: uuid('Id of the metadata directory of the voter.'),
      endpoints: array('Where the voter listens.', {
        name: string('Listener name.', { mapKey: true }),
        host: string('Host name or address to connect to.'),
        port: uint16('Port to connect to.'),
      }),
      kRaftVersionFeature: struct('Versions of the quorum protocol that the voter is able to run.', {
        minSupportedVersion: int16('Lowest level.'),
        maxSupportedVersion: int16('Highest level.'),
      }),
    }),
  },
})
