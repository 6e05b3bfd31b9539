import { DeltaHeader } from '../../../schemas/models-folder.ts'
import { decodeContainer, encodeContainer } from '../delta-files/container.ts'

/** Ids and rows begin at a multiple of 4. */
const alignment = 4

/** New rows of a field's table. */
export interface DeltaTable {
  field: string
  width: number
  /** uint32 [rows]: the field's own ids, from 0. */
  ids: Uint32Array
  /** float32 [rows, width]. */
  rows: Float32Array
}

export interface Delta extends Pick<DeltaHeader, 'model' | 'version' | 'base' | 'sequence'> {
  tables: DeltaTable[]
}

export function encodeDelta({ tables, ...about }: Delta): Buffer {
  const header: DeltaHeader = {
    ...about,
    tables: tables.map(({ field, width, ids }) => ({ field, rows: ids.length, width })),
  }
  const content = tables.flatMap(({ ids, rows }) => [viewBytes(ids), viewBytes(rows)])
  return encodeContainer(header, content, alignment)
}

/**
 * Reads a delta file. Throws an Error that says what is wrong, and where. The tables are views of `bytes`, or copies.
 */
export function decodeDelta(bytes: Buffer): Delta {
  const { header, content } = decodeContainer(bytes, { schema: DeltaHeader, sizeOf, alignment })
  const { tables, ...about } = header
  let at = 0
  const next = (length: number) => {
    const part = content.subarray(at, at + length)
    at += length
    return aligned(part)
  }
  return {
    ...about,
    tables: tables.map(({ field, rows, width }) => {
      const ids = next(4 * rows)
      const values = next(4 * rows * width)
      return {
        field,
        width,
        ids: new Uint32Array(ids.buffer, ids.byteOffset, rows),
        rows: new Float32Array(values.buffer, values.byteOffset, rows * width),
      }
    }),
  }
}

function sizeOf({ tables }: DeltaHeader): number {
  const fields = tables.map(({ field }) => field)
  const twice = fields.findIndex((field, i) => fields.indexOf(field) < i)
  if (twice >= 0) throw new Error(`header /tables/${twice}/field names ${JSON.stringify(fields[twice])} again`)
  return tables.reduce((sum, { rows, width }) => sum + 4 * rows * (1 + width), 0)
}

/** The same bytes at an address that typed arrays accept. */
function aligned(bytes: Buffer): Buffer | Uint8Array {
  return bytes.byteOffset % alignment === 0 ? bytes : new Uint8Array(bytes)
}

const viewBytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
