/**
 * Keys as the bytes of a body have them: printable ASCII between quotes, without escapes. No string is made of one
 * until it is asked for: V8 takes longer to make a short string of JSON than to find it in a table.
 */
export class KeyList {
  readonly length: number
  /** The body. Nothing writes to it. */
  readonly bytes: Buffer
  /** Where each key begins and ends in it, without its quotes. */
  readonly starts: Int32Array
  readonly ends: Int32Array

  constructor(bytes: Buffer, starts: Int32Array, ends: Int32Array) {
    this.length = starts.length
    this.bytes = bytes
    this.starts = starts
    this.ends = ends
  }

  at(place: number): string {
    return this.bytes.toString('latin1', this.starts[place], this.ends[place])
  }

  texts(): string[] {
    return Array.from(this.starts, (_, place) => this.at(place))
  }
}
