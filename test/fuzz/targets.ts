/** All that decodes bytes of others. A case is known by the name of its target, not by its place here. */
import { connections, disks, http } from './brokers.ts'
import { properties, smallFiles } from './files.ts'
import { messages, requestFrames } from './messages.ts'
import { codecs, coordinatorRecords, metadataRecords, recordBatches } from './records.ts'
import type { Target } from './target.ts'

export const targets: readonly Target[] = [
  messages,
  requestFrames,
  recordBatches,
  codecs,
  coordinatorRecords,
  metadataRecords,
  smallFiles,
  properties,
  connections,
  http,
  disks,
]
