import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Writes pieces one after the other, many at a time. */
export function writePieces(file: string, pieces: Iterable<string | Buffer>): Promise<void> {
  return pipeline(Readable.from(joined(pieces)), createWriteStream(file))
}

function* joined(pieces: Iterable<string | Buffer>): Generator<Buffer> {
  let together: Buffer[] = []
  let bytes = 0
  for (const piece of pieces) {
    const buffer = typeof piece === 'string' ? Buffer.from(piece) : piece
    together.push(buffer)
    bytes += buffer.length
    if (bytes < 2 ** 20) continue
    yield Buffer.concat(together)
    together = []
    bytes = 0
  }
  yield Buffer.concat(together)
}
