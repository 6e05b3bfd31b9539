import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { NarrowFormat } from '../../contracts/compiled-plan.ts'
import { external } from '../../graph/external-data.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProto_DataType as DataType, type TensorProto } from '../../graph/onnx_pb.ts'
import { tablePieces } from '../../graph/table-pieces.ts'
import { toFloat16, toInt8 } from './narrow-rows.ts'

/** A table in a narrow format: constants of the graph, both in one file. */
export interface NarrowTable {
  /** float16 or int8 [ids, dim]. */
  rows: TensorProto
  /** Of int8: float32 [ids]. */
  scales?: TensorProto
}

/** The scales of a table begin at a page of memory. */
const page = 4096

/**
 * Writes a float32 table [ids, dim] in another format to a file beside the graph's tables, in chunks.
 *
 * Throws an Error for values that the format can't hold, and the system's error where the file can't be written.
 */
export function writeNarrowTable(graph: Graph, tensor: TensorProto, format: NarrowFormat): NarrowTable {
  const { name, dims } = tensor
  const [ids, dim] = dims.map(Number) as [number, number]
  const location = `${format}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}.bin`
  const rowBytes = dim * (format === 'float16' ? 2 : 1)
  const scalesAt = Math.ceil((ids * rowBytes) / page) * page
  const file = openSync(join(graph.folder, location), 'w')
  const write = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>, at: number) => {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    for (let done = 0; done < byteLength; ) done += writeSync(file, bytes, done, byteLength - done, at + done)
  }
  try {
    for (const { values, row } of tablePieces(graph, tensor, 0, ids, dim)) {
      if (format === 'float16') write(toFloat16(values) as Uint16Array<ArrayBuffer>, row * rowBytes)
      else {
        const { bytes, scales } = toInt8(values, dim)
        write(bytes as Int8Array<ArrayBuffer>, row * rowBytes)
        write(scales as Float32Array<ArrayBuffer>, scalesAt + row * 4)
      }
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? new Error(`the table ${name} can't be stored as ${format}: ${(error as Error).message}`, { cause: error })
      : error
  } finally {
    closeSync(file)
  }
  if (format === 'float16')
    return { rows: external({ name, dataType: DataType.FLOAT16, dims }, location, 0, ids * rowBytes) }
  return {
    rows: external({ name, dataType: DataType.INT8, dims }, location, 0, ids * rowBytes),
    scales: external({ name, dataType: DataType.FLOAT, dims: [BigInt(ids)] }, location, scalesAt, ids * 4),
  }
}
