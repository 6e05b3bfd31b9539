import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Graph, isExternal } from './graph.ts'
import { TensorProto_DataType as DataType, type TensorProto, TensorProtoSchema } from './onnx_pb.ts'
import { steps } from './passes/equalise.ts'

/** Ids of one field: a block of the table's rows. */
export interface FieldIds {
  offset: number
  ids: number
}

/** An embedding table as bytes: value = lo + step·byte, per field (or for all ids) and dimension. */
export interface TableScales {
  /** Name of the constant uint8 [ids, dim]. */
  name: string
  /** [step, lo] of a field's dimension. */
  at(field: FieldIds | undefined, dimension: number): [number, number]
  addTo(graph: Graph): void
}

/** Rows read at once. */
const chunkBytes = 4 << 20

/**
 * Rounds a table to bytes; a quarter of its size. With `fields`, which must not overlap, each has a range of its own in
 * every dimension; rows of no field become 0. A table that lies in a file is read piece by piece.
 */
export function quantiseTable(graph: Graph, table: string, fields: FieldIds[] | undefined): TableScales {
  const tensor = graph.constants.get(table)!
  const [rows, dim] = tensor.dims.map(Number) as [number, number]
  const blocks = (fields ?? [{ offset: 0, ids: rows }]).map(({ offset, ids }) => ({
    offset: Math.min(offset, rows),
    ids: Math.max(0, Math.min(ids, rows - offset)),
  }))
  const quantised = new Uint8Array(rows * dim)
  const scales = new Map<number, { step: Float32Array; lo: Float32Array }>()
  for (const { offset, ids } of blocks) {
    const lo = new Float32Array(dim).fill(Number.POSITIVE_INFINITY)
    const hi = new Float32Array(dim).fill(Number.NEGATIVE_INFINITY)
    for (const { values } of pieces(graph, tensor, offset, ids, dim))
      for (let i = 0; i < values.length; i++) {
        const d = i % dim
        if (values[i]! < lo[d]!) lo[d] = values[i]!
        if (values[i]! > hi[d]!) hi[d] = values[i]!
      }
    const step = new Float32Array(dim)
    for (let d = 0; d < dim; d++) {
      if (ids === 0) lo[d] = 0
      step[d] = hi[d]! > lo[d]! ? (hi[d]! - lo[d]!) / steps : 1
    }
    for (const { values, row } of pieces(graph, tensor, offset, ids, dim))
      for (let i = 0; i < values.length; i++)
        quantised[row * dim + i] = Math.round((values[i]! - lo[i % dim]!) / step[i % dim]!)
    scales.set(offset, { step, lo })
  }
  const name = graph.fresh(`${table}/uint8`)
  const constant = create(TensorProtoSchema, {
    name,
    dataType: DataType.UINT8,
    dims: tensor.dims,
    rawData: quantised,
  })
  const [first] = blocks
  return {
    name,
    at(field, dimension) {
      const offset = fields === undefined || field === undefined ? first!.offset : Math.min(field.offset, rows)
      const { step, lo } = scales.get(offset)!
      return [step[dimension]!, lo[dimension]!]
    },
    addTo(target) {
      target.constants.set(name, constant)
    },
  }
}

/** Rows of a float table, piece by piece. */
function* pieces(
  graph: Graph,
  tensor: TensorProto,
  offset: number,
  ids: number,
  dim: number,
): Iterable<{ values: Float32Array; row: number }> {
  if (!isExternal(tensor)) {
    const values = graph.floats(tensor.name)!
    yield { values: values.subarray(offset * dim, (offset + ids) * dim), row: offset }
    return
  }
  const { location, start } = externalPlace(tensor)
  const perPiece = Math.max(1, Math.floor(chunkBytes / (dim * 4)))
  const buffer = new Float32Array(perPiece * dim)
  const file = openSync(resolve(graph.folder, location), 'r')
  try {
    for (let row = offset; row < offset + ids; row += perPiece) {
      const count = Math.min(perPiece, offset + ids - row) * dim
      const bytes = new Uint8Array(buffer.buffer, 0, count * 4)
      for (let done = 0; done < bytes.length; ) {
        const read = readSync(file, bytes, done, bytes.length - done, start + row * dim * 4 + done)
        if (read === 0) throw new Error(`${location} ends too early`)
        done += read
      }
      yield { values: buffer.subarray(0, count), row }
    }
  } finally {
    closeSync(file)
  }
}

/** Where external data lies: path relative to the graph's folder, and bytes. */
export function externalPlace(tensor: TensorProto): { location: string; start: number; length: number | undefined } {
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value
  const length = entry('length')
  return {
    location: entry('location') ?? '',
    start: Number(entry('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
  }
}
