import type { SocketHandlers, SocketReader } from './environment.ts'

/**
 * What all connections read into before a reader says where to, and for receivers that do not say: it is emptied at
 * once.
 */
const shared = new Uint8Array(64 * 1024)

/**
 * Where a connection reads to. Node can read into given memory (`onread`) only where that was said when the connection
 * was made, so this stands between Node and handlers that come later.
 */
export class ReadTarget {
  #handlers: SocketHandlers | undefined
  /** A stream that was just told to flow begins to read in the next turn, whatever it is told in between. */
  isPaused = false
  /** The last memory that was given is the reader's. */
  #isReaders = false

  /** Nothing is read before. */
  start(handlers: SocketHandlers): void {
    this.#handlers = handlers
  }

  /** What Node is to be told. */
  get options(): { readonly buffer: () => Uint8Array; readonly callback: (sizeBytes: number) => boolean } {
    return {
      buffer: () => this.#next(),
      callback: (sizeBytes) => {
        this.#take(sizeBytes)
        return !this.isPaused
      },
    }
  }

  #next(): Uint8Array {
    const reader = this.#handlers?.reader
    this.#isReaders = reader !== undefined
    return reader ? reader.room() : shared
  }

  #take(sizeBytes: number): void {
    const reader = this.#handlers?.reader
    if (this.#isReaders) reader?.filled(sizeBytes)
    else if (reader) copyTo(reader, shared.subarray(0, sizeBytes))
    else this.#handlers?.onData(new Uint8Array(shared.subarray(0, sizeBytes)))
  }
}

/** What was read before the reader could say where to. */
function copyTo(reader: SocketReader, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length;) {
    const room = reader.room()
    const part = bytes.subarray(from, from + room.length)
    room.set(part)
    reader.filled(part.length)
    from += part.length
  }
}
