/** Why a metadata log does not open. */
export type MetadataErrorCode =
  | 'CLUSTER_ID_MISMATCH' // the data directory belongs to another cluster than the one asked for
  | 'NODE_ID_MISMATCH' // the data directory belongs to another node
  | 'INCOMPLETE' // one of meta.properties and the log is missing while the other holds something
  | 'CORRUPT' // damage that is not the torn end of a last write
  | 'UNSUPPORTED' // written by a later version

export class MetadataError extends Error {
  override readonly name = 'MetadataError'
  readonly code: MetadataErrorCode

  constructor(code: MetadataErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
