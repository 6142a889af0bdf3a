/** `meta.properties`, by which a data directory says whose it is. Kafka's format, version 1. */
import { Buffer } from 'node:buffer'
import { DiskError, type Disk } from '../../storage/disk.ts'
import type { Uuid } from '../../protocol/schema.ts'
import { formatProperties, parseProperties } from '../config/properties.ts'
import { MetadataError } from './metadata-error.ts'

export const metaPropertiesPath = 'meta.properties'

export interface MetaProperties {
  readonly clusterId: string
  readonly nodeId: number
  readonly directoryId: Uuid
}

/** Undefined where the directory was never formatted. @throws MetadataError UNSUPPORTED or CORRUPT. */
export async function loadMetaProperties(disk: Disk): Promise<MetaProperties | undefined> {
  let content: Uint8Array
  try {
    content = await disk.readFile(metaPropertiesPath)
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
  const properties = parseProperties(Buffer.from(content).toString('utf8'))
  const version = properties.get('version')
  if (version !== '1') throw unusable(disk, 'UNSUPPORTED', `has version ${version}, expected 1`)
  const clusterId = properties.get('cluster.id')
  const nodeId = properties.get('node.id')
  const directoryId = properties.get('directory.id')
  if (!clusterId || !directoryId || nodeId === undefined || !/^\d+$/.test(nodeId))
    throw unusable(disk, 'CORRUPT', 'lacks cluster.id, node.id or directory.id')
  if (!/^[\w-]{22}$/.test(directoryId))
    throw unusable(
      disk,
      'CORRUPT',
      `has the directory.id ${JSON.stringify(directoryId)}, expected 22 characters of base64url`,
    )
  return { clusterId, nodeId: Number(nodeId), directoryId }
}

/** Durable when it resolves. */
export async function storeMetaProperties(disk: Disk, meta: MetaProperties): Promise<void> {
  const text = formatProperties({
    'cluster.id': meta.clusterId,
    'directory.id': meta.directoryId,
    'node.id': meta.nodeId,
    version: 1,
  })
  await disk.replaceFile(metaPropertiesPath, Buffer.from(text, 'utf8'))
}

function unusable(disk: Disk, code: 'UNSUPPORTED' | 'CORRUPT', what: string): MetadataError {
  return new MetadataError(code, `${disk.root}/${metaPropertiesPath} ${what}`)
}
