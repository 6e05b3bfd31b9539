import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { product } from '../../../base/arrays.ts'
import { reasonOf } from '../../../base/errors.ts'
import type { NarrowFormat, TableRows } from '../../contracts/compiled-plan.ts'
import { tooFew } from '../int8/different-rows.ts'
import { compareLogits, type JudgedRows, logitsOf } from '../int8/judge.ts'
import { intAttribute } from '../ir/attributes.ts'
import { isExternal } from '../ir/constants.ts'
import { external, externalPlace, isTable, tablePieces } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type TensorProto, TensorProtoSchema } from '../ir/onnx_pb.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import { fullVariant } from '../sides/tensor-names.ts'
import { type CompiledGraph, changeEach } from './compiled-graph.ts'

export interface NarrowOptions {
  format: NarrowFormat
  /** Rows that evaluate the format; without them it is refused. */
  judged: JudgedRows | undefined
}

/**
 * The compiled graphs with their large tables in a narrow format, if its answers pass the check of int8; else the same
 * graphs, and why. `graph` is the optimised one, whose tables are not live: rows of overlays stay float32 in any case.
 *
 * Narrow rows are the same on every machine, and what is computed from them is float32: so one check is enough.
 */
export async function narrowPlans(
  graph: Graph,
  compiled: CompiledGraph,
  { format, judged }: NarrowOptions,
): Promise<CompiledGraph> {
  const refuse = (problem: string, verdict?: TableRows['verdict']): CompiledGraph => ({
    ...compiled,
    tableRows: { format: 'float32', problem, ...(verdict && { verdict }) },
  })
  if (judged === undefined) return refuse(`the version has no quantization rows to evaluate ${format} tables with`)
  const few = tooFew(judged)
  if (few !== undefined) return refuse(`half of the quantization rows evaluate ${format} tables: ${few}`)
  const narrower = createNarrower(format)
  try {
    const exact = fullVariant(graph)
    const narrow = narrower.narrow(exact)
    if (narrower.tables === 0) return refuse('the graph has no large table that is read by look-ups alone')
    const verdict = compareLogits(await logitsOf(exact, judged), await logitsOf(narrow, judged), judged)
    if (!verdict.passed) return refuse(verdict.reasons.join('; '), verdict)
    const { float32, int8 } = compiled
    return {
      ...compiled,
      tableRows: { format, verdict },
      float32: changeEach(float32, narrower.narrow),
      int8: int8 && { ...int8, ...changeEach(int8, narrower.narrow) },
      ...(int8 && { reference: float32.full }),
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error
    return refuse(reasonOf(error))
  }
}

/** Stores the large tables of graphs in a narrow format; each table once, whatever graphs look it up. */
export interface Narrower {
  /** Tables that have been stored. */
  readonly tables: number
  /** The variant with narrow tables; their files are beside the others of its graph. Throws as `writeNarrowTable`. */
  narrow(variant: VariantGraph): VariantGraph
}

/**
 * A look-up of a table in a file becomes one of narrow rows, which are widened after it: float16 by Cast, int8 by
 * DequantizeLinear with the scales of the rows. Tables that are read in other ways stay float32.
 */
export function createNarrower(format: NarrowFormat): Narrower {
  const written = new Map<string, NarrowTable>()
  const tableOf = (graph: Graph, tensor: TensorProto) => {
    const { location, start } = externalPlace(tensor)
    const key = `${location}:${start}:${tensor.dims}`
    const table = written.get(key) ?? writeNarrowTable(graph, tensor, format)
    written.set(key, table)
    return table
  }
  return {
    get tables() {
      return written.size
    },
    narrow(variant) {
      const graph = variant.graph.copy()
      const lookUps = new Map<string, NodeProto[]>()
      for (const node of graph.nodes) {
        const name = node.input[0]!
        if (node.opType === 'Gather' && isLarge(graph, name)) lookUps.set(name, [...(lookUps.get(name) ?? []), node])
      }
      for (const [name, gathers] of lookUps)
        if (gathers.every((gather) => canWiden(graph, gather))) {
          const table = addTable(graph, tableOf(graph, graph.constants.get(name)!), format)
          for (const gather of gathers) widen(graph, gather, table)
        }
      graph.tidy()
      return { ...variant, graph }
    },
  }
}

/** Whether a constant is a float32 table in a file, which is read by look-ups alone. */
function isLarge(graph: Graph, name: string): boolean {
  const tensor = graph.constants.get(name)
  if (tensor === undefined || tensor.dataType !== DataType.FLOAT || tensor.dims.length !== 2) return false
  return isExternal(tensor) && isTable(graph, name)
}

/** Whether all dimensions of a look-up's rows but the first are known. */
function canWiden(graph: Graph, gather: NodeProto): boolean {
  const dims = graph.shapes.get(gather.output[0]!)?.dims ?? []
  return intAttribute(gather, 'axis', 0) === 0 && dims.length > 1 && dims.slice(1).every((side) => side > 0)
}

/** Names of a narrow table's constants in a graph. */
interface AddedTable {
  rows: string
  scales: string | undefined
}

function addTable(graph: Graph, { rows, scales }: NarrowTable, format: NarrowFormat): AddedTable {
  const add = (tensor: TensorProto, wanted: string) => {
    const name = graph.fresh(wanted)
    graph.constants.set(name, create(TensorProtoSchema, { ...tensor, name }))
    return name
  }
  const name = add(rows, `${rows.name}/${format}`)
  return { rows: name, scales: scales && add(scales, `${name}/scales`) }
}

/** Has the users of a look-up read the same rows of a narrow table. */
function widen(graph: Graph, gather: NodeProto, { rows: table, scales }: AddedTable): void {
  const [, ids] = gather.input as [string, string]
  const output = gather.output[0]!
  const shape = graph.shapes.get(output)!
  const axis = { attributes: { axis: 0 } }
  if (scales === undefined) {
    const half = graph.node('Gather', [table, ids], { ...axis, shape: { ...shape, dtype: DataType.FLOAT16 } })
    graph.replace(output, graph.node('Cast', [half], { attributes: { to: DataType.FLOAT }, shape }))
    return
  }
  // The scales of rows are those of an axis, so that the rows have one dimension.
  const isFlat = shape.dims.length === 2
  const flat = isFlat ? ids : graph.node('Reshape', [ids, graph.integers([-1])])
  const count = product(shape.dims.slice(0, -1))
  const flatShape = { dtype: DataType.INT8, dims: [count, shape.dims.at(-1)!] }
  const bytes = graph.node('Gather', [table, flat], { ...axis, shape: flatShape })
  const steps = graph.node('Gather', [scales, flat], { ...axis, shape: { ...shape, dims: [count] } })
  const rows = graph.node('DequantizeLinear', [bytes, steps], {
    ...axis,
    shape: { ...flatShape, dtype: DataType.FLOAT },
  })
  const whole = isFlat ? rows : graph.node('Reshape', [rows, graph.integers([-1, ...shape.dims.slice(1)])], { shape })
  graph.replace(output, whole)
}

/** A table in a narrow format: constants of the graph, both in one file. */
export interface NarrowTable {
  /** float16 or int8 [ids, dim]. */
  rows: TensorProto
  /** Scales of int8 rows, float32 [ids]. */
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

/*
 * Rows of float32 values in formats of fewer bytes.
 */

/** Largest float16. */
const mostFloat16 = 65504
/** Largest float32. */
const mostFloat32 = (2 - 2 ** -23) * 2 ** 127
/** Smallest normal float16, as the bits of a float32. */
const leastNormal = 0x38800000
/** The difference of the exponents of float32 and float16, in bits of a float32. */
const exponentStep = 0x38000000
/** Steps of an int8 on each side of 0. */
const steps = 127

/** Rounds to the nearest float16, ties to even. Throws an Error for values that it can't hold. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const halves = new Uint16Array(values.length)
  const one = new Float32Array(1)
  const oneBits = new Uint32Array(one.buffer)
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]!) <= mostFloat16)) throw new Error(`${values[i]} is no float16`)
    const sign = (bits[i]! >>> 16) & 0x8000
    const size = bits[i]! & 0x7fffffff
    if (size >= leastNormal) {
      const shifted = size - exponentStep
      halves[i] = sign | ((shifted + 0xfff + ((shifted >>> 13) & 1)) >>> 13)
    } else {
      // Below 2^-14 steps are 2^-24, as those of a float32 between 0.5 and 1: its addition rounds.
      one[0] = 0.5 + Math.abs(values[i]!)
      halves[i] = sign | (oneBits[0]! - 0x3f000000)
    }
  }
  return halves
}

/**
 * Rows [rows, dim] as bytes, with a scale for each row: value ≈ byte · scale. Throws an Error for values that are not
 * finite.
 */
export function toInt8(values: Float32Array, dim: number): { bytes: Int8Array; scales: Float32Array } {
  const bytes = new Int8Array(values.length)
  const scales = new Float32Array(values.length / dim)
  for (let row = 0; row < scales.length; row++) {
    const start = row * dim
    let most = 0
    for (let i = start; i < start + dim; i++) {
      const size = Math.abs(values[i]!)
      if (!(size <= mostFloat32)) throw new Error(`${values[i]} is not finite`)
      if (size > most) most = size
    }
    scales[row] = most / steps
    const scale = scales[row]!
    // A row of zeros, or of values so small that no float32 is their step.
    if (scale === 0) continue
    for (let i = start; i < start + dim; i++)
      bytes[i] = Math.max(-steps, Math.min(steps, Math.round(values[i]! / scale)))
  }
  return { bytes, scales }
}
