import { createNumericFieldEncoder, createSparseFieldEncoder, type FieldEncoder } from '../model/features/field.ts'
import type { Field } from '../schemas/features.ts'
import { type CellColumn, StringColumn } from './columns.ts'
import { RowProblems } from './row-problems.ts'

/** Encoded rows, row-major: the network's inputs. */
export interface EncodedRows {
  rows: number
  /** int32 [rows, sparse fields], ids in the shared id space. */
  sparse: Int32Array
  /** float32 [rows, dense fields]. */
  dense: Float32Array
  sparseFields: number
  denseFields: number
}

/**
 * Encodes `rows` of `cells` ([field][row]) with the manifest's fields. Cells that a request could not contain either are added to
 * `problems`; `place` gives the place of a row.
 */
export function encodeRows(
  fields: readonly Field[],
  cells: readonly CellColumn[],
  rows: Int32Array,
  place: (row: number) => string,
  { problems = new RowProblems(), ownIds = false }: { problems?: RowProblems; ownIds?: boolean } = {},
): { encoded: EncodedRows; problems: RowProblems } {
  const sparseFields = fields.filter(({ kind }) => kind !== 'numeric').length
  const denseFields = fields.length - sparseFields
  const sparse = new Int32Array(rows.length * sparseFields)
  const dense = new Float32Array(rows.length * denseFields)
  let offset = 0
  let sparseIndex = 0
  let denseIndex = 0
  fields.forEach((field, index) => {
    const fill = (encoder: FieldEncoder, target: Int32Array | Float32Array, first: number, width: number) => {
      const encode = encoderOf(cells[index]!, encoder)
      for (let i = 0; i < rows.length && !problems.full; i++) {
        const value = encode(rows[i]!)
        if (typeof value === 'number') target[i * width + first] = value
        else problems.add(`/fields/${index}`, `${place(rows[i]!)}: ${field.name} ${value}`)
      }
    }
    if (field.kind === 'numeric') fill(createNumericFieldEncoder(field), dense, denseIndex++, denseFields)
    else {
      const encoder = createSparseFieldEncoder(field, offset)
      fill(encoder, sparse, sparseIndex++, sparseFields)
      if (!ownIds) offset += encoder.ids
    }
  })
  return { encoded: { rows: rows.length, sparse, dense, sparseFields, denseFields }, problems }
}

/** Encodes the cell of a row; each string once. A missing cell is absent, not null. */
function encoderOf(column: CellColumn, { encode }: FieldEncoder): (row: number) => number | string {
  if (!(column instanceof StringColumn)) return (row) => encode(column.at(row) ?? undefined)
  const known = new Array<number | string | undefined>(column.values.length + 1).fill(undefined)
  return (row) => {
    const place = column.codeAt(row) + 1
    let value = known[place]
    if (value === undefined) {
      value = encode(column.at(row) ?? undefined)
      known[place] = value
    }
    return value
  }
}
