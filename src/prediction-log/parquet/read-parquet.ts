import type { FileHandle } from 'node:fs/promises'
import type { AsyncBuffer, FileMetaData } from 'hyparquet'
import { reasonOf } from '../../base/errors.ts'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { jsonKey } from './file-schema.ts'
import { jsonColumns, recordOfRow } from './row-codec.ts'

/**
 * The records of a Parquet file, one row group in memory at a time. Throws an Error for a file that is none, and, with
 * the row, from 1, for damage.
 */
export async function* readParquet(handle: FileHandle, signal?: AbortSignal): AsyncGenerator<LogRecord> {
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet')
  const { compressors } = await import('hyparquet-compressors')
  const file = await bufferOf(handle)
  let metadata: FileMetaData
  try {
    metadata = await parquetMetadataAsync(file, { geoparquet: false })
  } catch (error) {
    throw new Error(`is no Parquet file, or only a part of one (${reasonOf(error)})`)
  }
  const json = jsonColumns(jsonPaths(metadata))
  let row = 1
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted()
    const own = { ...metadata, num_rows: group.num_rows, row_groups: [group] }
    let rows: Record<string, unknown>[]
    try {
      rows = await parquetReadObjects({ file, metadata: own, compressors, parsers: { stringFromBytes } })
    } catch (error) {
      throw new Error(`row ${row}: ${reasonOf(error)}`)
    }
    for (const cells of rows) yield recordOfRow(cells, json)
    row += rows.length
  }
}

/** The library's own one takes a byte order mark at the beginning of a text away. */
const stringFromBytes = (bytes: Uint8Array | undefined) =>
  bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()

function jsonPaths({ key_value_metadata: entries = [] }: FileMetaData): string[][] {
  const found = entries.find(({ key }) => key === jsonKey)?.value
  return found === undefined ? [] : (JSON.parse(found) as string[][])
}

async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat()
  if (size === 0) throw new Error('is empty')
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(end - start)
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
        if (bytesRead === 0) throw new Error(`ends after ${start + at} bytes`)
        at += bytesRead
      }
      return bytes.buffer
    },
  }
}
