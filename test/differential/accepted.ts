/** Where answers differ from Kafka's although nothing is wrong. `docs/differences.md` tells users of those that they can notice. */
import type { Accepted, Difference } from './compare.ts'

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const isLabelled =
  (...labels: readonly string[]) =>
  ({ label }: Difference): boolean =>
    labels.some((start) => label.startsWith(start))

export const accepted: readonly Accepted[] = [
  {
    api: /./,
    path: /(?:^|\.)(?:errorMessage|batchIndexErrorMessage|topicErrorMessage)$/,
    why: 'messages are in words of our own, and are also there where Kafka sends none',
    when: ({ kafka, ours }) => isText(ours) && (kafka === null || isText(kafka)),
  },
  {
    api: 'Produce',
    path: /^$/,
    why: 'null records make Kafka fail without an answer; a client would wait for its timeout and try again for ever',
    when: isLabelled('null records'),
  },
  {
    api: 'Produce',
    path: /errorCode|logStartOffset/,
    why: 'Kafka answers UNKNOWN_SERVER_ERROR to a codec that does not exist; UNSUPPORTED_COMPRESSION_TYPE says what is wrong',
    when: isLabelled('an unknown codec'),
  },
  {
    api: /Produce|Fetch/,
    path: /errorCode|baseOffset|highWatermark|lastStableOffset|records/,
    why: 'records are not decompressed to append them: one whose checksum holds is kept as it came',
    when: isLabelled('gzip that is none'),
  },
  {
    api: 'Fetch',
    path: /maxTimestamp|crc/,
    why: 'the largest timestamp is the one that the producer wrote into the header: records are not read to append them',
    when: isLabelled('a maximum timestamp that is none of its records'),
  },
]
