/** Who waits for what of a socket's unsent bytes to leave. */
export class UnsentMarks {
  readonly #marks: { readonly position: number; readonly onTaken: () => void }[] = []
  /** Bytes that have left since the beginning. */
  #position = 0

  /** `onTaken` is called when the `bytes` that wait now have left. */
  add(bytes: number, onTaken: () => void): void {
    this.#marks.push({ position: this.#position + bytes, onTaken })
  }

  /** So many bytes have left. */
  take(bytes: number): void {
    this.#position += bytes
    let mark = this.#marks[0]
    while (mark && mark.position <= this.#position) {
      this.#marks.shift()
      mark.onTaken()
      mark = this.#marks[0]
    }
  }

  /** Nothing of the rest will leave. */
  takeAll(): void {
    for (const { onTaken } of this.#marks.splice(0)) onTaken()
  }
}
