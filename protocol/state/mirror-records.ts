/**
 * The metadata records of our own: links, mirrors, and what is fixed when a data directory is formatted. Their keys,
 * 30000 to 30099, are far from Kafka's, so that both kinds share one log. docs/storage-format.md has the table.
 *
 * Fields are only ever added, under a new version or as tagged fields: logs outlive the program that wrote them.
 */
import { array, bytes, defineRecord, int32, int64, string, uuid, zeroUuid } from '../schema.ts'

/** Creates a link, or names it anew. Its configs follow as LinkConfig records. */
export const Link = defineRecord({
  name: 'Link',
  key: 30000,
  versions: '0-0',
  flexible: '0+',
  fields: {
    linkId: uuid('Link id.'),
    name: string('Link name, unique in the cluster.'),
    sourceClusterId: string('Cluster id of the source, pinned: another cluster at its address fails the link.'),
  },
})

/** Sets or removes one config of a link. */
export const LinkConfig = defineRecord({
  name: 'LinkConfig',
  key: 30001,
  versions: '0-0',
  flexible: '0+',
  fields: {
    linkId: uuid('Link id.'),
    name: string('Config name.'),
    value: string('Config value as text, or null to remove it; for a secret, its name: see SealedSecret.', {
      nullable: '0+',
    }),
  },
})

/** Notes why a link is failed, until someone acts; or that it no longer is. */
export const LinkFailure = defineRecord({
  name: 'LinkFailure',
  key: 30002,
  versions: '0-0',
  flexible: '0+',
  fields: {
    linkId: uuid('Link id.'),
    code: string("A `link_error` of the REST API; '' when the link is not failed any more."),
    reason: string('A sentence for people.', { default: '' }),
  },
})

/** Removes a link with its configs, failure and secrets. No mirror names it any more. */
export const RemoveLink = defineRecord({
  name: 'RemoveLink',
  key: 30003,
  versions: '0-0',
  flexible: '0+',
  fields: {
    linkId: uuid('Link id.'),
  },
})

/** Makes a topic a mirror, in state ACTIVE unless a MirrorState follows. It goes with its topic. */
export const Mirror = defineRecord({
  name: 'Mirror',
  key: 30004,
  versions: '0-0',
  flexible: '0+',
  fields: {
    topicId: uuid('Topic id of the mirror, here.'),
    linkId: uuid('The link that writes it.'),
    sourceTopicName: string('Topic name at the source.'),
    sourceTopicId: uuid('Topic id at the source, pinned; the zero id where the source has none.'),
  },
})

/** Replaces the state of a mirror. How far it got is not here: its log is its progress. */
export const MirrorState = defineRecord({
  name: 'MirrorState',
  key: 30005,
  versions: '0-0',
  flexible: '0+',
  fields: {
    topicId: uuid('Topic id of the mirror, here.'),
    state: string('ACTIVE, PAUSED, PENDING_STOPPED, STOPPED or FAILED.'),
    sinceMs: int64('When it entered the state, in milliseconds since 1970.'),
    error: string('Why it is FAILED: a `mirror_topic_error` of the REST API, else NO_ERROR.', { default: 'NO_ERROR' }),
    reason: string('A sentence for people.', { default: '' }),
    stopDecisionId: uuid('From PENDING_STOPPED on, the id of the decision to stop; else the zero id.', {
      default: zeroUuid,
    }),
    stopKind: string('From PENDING_STOPPED on `failover` or `promote`, else null.', { nullable: '0+', default: null }),
    ends: array(
      'From STOPPED on, where the mirrored part of each partition ends.',
      {
        partitionIndex: int32('Partition index.'),
        leaderEpoch: int32('Leader epoch of the last mirrored record, -1 where there is none.'),
        endOffset: int64('Offset behind the last mirrored record.'),
      },
      { default: [] },
    ),
  },
})

/**
 * Fixes the upper half of all producer ids that this cluster hands out, when its directory is formatted. It is random,
 * so that they never meet the producer ids inside mirrored batches.
 */
export const ProducerIdSpace = defineRecord({
  name: 'ProducerIdSpace',
  key: 30006,
  versions: '0-0',
  flexible: '0+',
  fields: {
    high: int32('Bits 32 to 62 of every producer id, 1 or more.'),
  },
})

/** Keeps a secret config of a link, encrypted with the key file of the data directory. */
export const SealedSecret = defineRecord({
  name: 'SealedSecret',
  key: 30007,
  versions: '0-0',
  flexible: '0+',
  fields: {
    linkId: uuid('Link id.'),
    name: string('Config name.'),
    sealed: bytes('Nonce, ciphertext and tag; null removes the secret.', { nullable: '0+' }),
  },
})

/** Fixes the id of this cluster when its directory is formatted. */
export const ClusterIdentity = defineRecord({
  name: 'ClusterIdentity',
  key: 30008,
  versions: '0-0',
  flexible: '0+',
  fields: {
    clusterId: string('Cluster id, as clients see it.'),
  },
})
