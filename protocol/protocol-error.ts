/** Bytes that are no message of the protocol: a cut field, a length beyond the frame, a null where none may be. */
export class ProtocolError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProtocolError'
  }
}
