import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Writes pieces one after the other, about a MiB at a time. */
export function writePieces(file: string, pieces: Iterable<string | Buffer>): Promise<void> {
  return pipeline(Readable.from(pieces), createWriteStream(file, { highWaterMark: 2 ** 20 }))
}
