import type { FileHandle } from 'node:fs/promises'
import * as zlib from 'node:zlib'
import { ByteWriter, type ColumnSource, ParquetWriter } from 'hyparquet-writer'
import { snappyCompressor } from 'hysnappy'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { ColumnShape } from './column-shape.ts'
import { type FileSchema, jsonKey, schemaOf } from './file-schema.ts'
import { recordRole } from './roles.ts'
import { rowOf } from './row-codec.ts'

/** A record, and the length of its text. */
export interface SizedRecord {
  record: LogRecord
  length: number
}

/** Text of the records of a row group, characters: they take several times as much memory. */
const groupLength = 1 << 22

/**
 * Writes records into an open, empty file. `records` is read twice: for the columns and their types, and for the rows.
 * Answers their number; without a record nothing is written, since a file needs a column.
 */
export async function writeParquet(handle: FileHandle, records: () => AsyncIterable<SizedRecord>): Promise<number> {
  const shape = new ColumnShape(recordRole)
  let count = 0
  for await (const { record } of records()) {
    shape.note(record)
    count++
  }
  if (count === 0) return 0
  const schema = schemaOf(shape)
  const writer = new ParquetWriter({
    ...{ writer: new HandleWriter(handle), schema: schema.elements, ...compression(), createdBy: 'multigate' },
    kvMetadata: [{ key: jsonKey, value: JSON.stringify(schema.json) }],
  })
  const exact = new Set(shape.negativeZeros())
  let rows: Record<string, unknown>[] = []
  let [length, written] = [0, 0]
  for await (const { record, length: added } of records()) {
    rows.push(rowOf(record, schema.type))
    length += added
    if (length < groupLength) continue
    written += await writeGroup(writer, schema, rows, exact)
    ;[rows, length] = [[], 0]
  }
  if (rows.length > 0) written += await writeGroup(writer, schema, rows, exact)
  if (written !== count) throw new Error('the file changed while it was read')
  await writer.finish()
  return count
}

async function writeGroup(
  writer: ParquetWriter,
  { type }: FileSchema,
  rows: Record<string, unknown>[],
  exact: ReadonlySet<string>,
): Promise<number> {
  const columnData = [...type.columns.keys()].map((name): ColumnSource => {
    const data = rows.map((row) => row[name])
    // A dictionary would take −0 for 0.
    return exact.has(name) ? { name, data, encoding: 'PLAIN' } : { name, data }
  })
  await writer.write({ columnData, rowGroupSize: rows.length })
  return rows.length
}

/** Zstandard where Node has it, from 22.15 on. */
function compression(): Pick<ConstructorParameters<typeof ParquetWriter>[0], 'codec' | 'compressors'> {
  const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Uint8Array) => Uint8Array }
  return zstdCompressSync
    ? { codec: 'ZSTD', compressors: { ZSTD: (bytes) => zstdCompressSync(bytes) } }
    : { codec: 'SNAPPY', compressors: { SNAPPY: snappyCompressor() } }
}

/** Hands the bytes of each row group on to a file. */
class HandleWriter extends ByteWriter {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    super()
    this.#handle = handle
  }

  async flush(): Promise<void> {
    const bytes = this.getBytes()
    for (let done = 0; done < bytes.length; )
      done += (await this.#handle.write(bytes, done, bytes.length - done)).bytesWritten
    this.index = 0
  }

  override finish(): Promise<void> {
    return this.flush()
  }
}
