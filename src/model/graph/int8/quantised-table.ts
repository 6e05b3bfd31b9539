import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { product } from '../../../base/arrays.ts'
import { external, tablePieces } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
} from '../ir/onnx_pb.ts'
import { steps } from './equalise.ts'

/** Ids of one field: consecutive rows of the table. */
export interface FieldIds {
  offset: number
  ids: number
}

/** An embedding table as bytes: value = lo + step·byte, per field (or for all ids) and dimension. */
export interface TableScales {
  /** Name of the constant uint8 [ids, dim]. */
  name: string
  /** [step, lo] of a dimension of a field. */
  at(field: FieldIds | undefined, dimension: number): [number, number]
  addTo(graph: Graph): void
}

/**
 * Rounds a table to bytes, a quarter of its size. With `fields`, which must not overlap, each field has its own range
 * in every dimension; rows of no field become 0. A table in a file is read, and its bytes are written to a file beside
 * it, in chunks.
 */
export function quantiseTable(graph: Graph, table: string, fields: FieldIds[] | undefined): TableScales {
  const tensor = graph.constants.get(table)!
  const [rows, dim] = tensor.dims.map(Number) as [number, number]
  const blocks = (fields ?? [{ offset: 0, ids: rows }]).map(({ offset, ids }) => ({
    offset: Math.min(offset, rows),
    ids: Math.max(0, Math.min(ids, rows - offset)),
  }))
  const name = graph.fresh(`${table}/uint8`)
  const sink = createSink(graph, tensor, name)
  const scales = new Map<number, { step: Float32Array; lo: Float32Array }>()
  try {
    for (const { offset, ids } of blocks) {
      const range = rangeOf(graph, tensor, offset, ids, dim)
      scales.set(offset, range)
      for (const { values, row } of tablePieces(graph, tensor, offset, ids, dim)) {
        const bytes = new Uint8Array(values.length)
        for (let i = 0; i < values.length; i++)
          bytes[i] = Math.round((values[i]! - range.lo[i % dim]!) / range.step[i % dim]!)
        sink.write(row * dim, bytes)
      }
    }
  } finally {
    sink.close()
  }
  const [first] = blocks
  return {
    name,
    at(field, dimension) {
      const offset = fields === undefined || field === undefined ? first!.offset : Math.min(field.offset, rows)
      const { step, lo } = scales.get(offset)!
      return [step[dimension]!, lo[dimension]!]
    },
    addTo(target) {
      target.constants.set(name, sink.tensor)
    },
  }
}

/** Per dimension, the smallest value, and the step of which 255 lead to the largest. */
function rangeOf(
  graph: Graph,
  tensor: TensorProto,
  offset: number,
  ids: number,
  dim: number,
): { step: Float32Array; lo: Float32Array } {
  const lo = new Float32Array(dim).fill(Number.POSITIVE_INFINITY)
  const hi = new Float32Array(dim).fill(Number.NEGATIVE_INFINITY)
  for (const { values } of tablePieces(graph, tensor, offset, ids, dim))
    for (let i = 0; i < values.length; i++) {
      const d = i % dim
      if (values[i]! < lo[d]!) lo[d] = values[i]!
      if (values[i]! > hi[d]!) hi[d] = values[i]!
    }
  if (ids === 0) lo.fill(0)
  return { lo, step: lo.map((least, d) => (hi[d]! > least ? (hi[d]! - least) / steps : 1)) }
}

/** Receives a table's bytes, in memory or in a file, like its floats. Unwritten bytes are 0. */
function createSink(graph: Graph, { name: table, dims, ...tensor }: TensorProto, name: string) {
  const size = product(dims.map(Number))
  const like = { name, dataType: DataType.UINT8, dims }
  if (tensor.dataLocation !== DataLocation.EXTERNAL) {
    const rawData = new Uint8Array(size)
    return {
      tensor: create(TensorProtoSchema, { ...like, rawData }),
      write: (at: number, bytes: Uint8Array) => rawData.set(bytes, at),
      close: () => undefined,
    }
  }
  const location = `uint8-${createHash('sha256').update(table).digest('hex').slice(0, 32)}.bin`
  const file = openSync(join(graph.folder, location), 'w')
  ftruncateSync(file, size)
  return {
    tensor: external(like, location, 0, size),
    write(at: number, bytes: Uint8Array) {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, at + done)
    },
    close: () => closeSync(file),
  }
}
