import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { product } from '../base/dims.ts'
import type { Precision, VariantFile } from '../contracts/compiled-plan.ts'
import type { TensorData } from '../contracts/engine.ts'
import { Graph, microsoft } from '../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type ValueInfoProto } from '../graph/onnx_pb.ts'
import { add, cast, dequantizeLinear, elementwise, sigmoid, softmax, unary } from './arithmetic.ts'
import { matMulInteger, matMulIntegerToFloat, qGemm, quantizeLinear, type ScaledInput, scaledInput } from './bytes.ts'
import { concat, flatten, gather, reshape, slice, split } from './layout.ts'
import { openLibrary } from './library.ts'
import { NotTranslated } from './not-translated.ts'
import { gemm, matMul } from './products.ts'
import { type Each, type Frame, Program } from './program.ts'
import { Tables } from './tables.ts'
import type { Part } from './tensor.ts'
import type { Tiling } from './tiling.ts'
import { Translation, type Translator } from './translation.ts'

/** A value of a call: row-major [rows, …] data; bfloat16 as its bits. */
export interface ProgramValue {
  data: TensorData | BigInt64Array | Uint16Array | Uint8Array
  dims: readonly number[]
}

/** A graph of a plan that oneDNN computes. One call at a time. */
export interface OpenProgram {
  /** `factors`: of the columns of an input of bytes, by which callers multiply before they round, halves to even, within 0 … 255. */
  inputs: { name: string; type: InputType; rank: number; factors?: Float32Array }[]
  /** `feeds`: in the order of `inputs`. Outputs by name; what they hold lives until the next call. */
  run(feeds: readonly ProgramValue[]): Record<string, { data: Float32Array; dims: number[] }>
  close(): void
}

export interface ProgramOptions {
  /** bfloat16: products of a float32 graph are computed in it; int8: those that the compiler quantised. */
  precision: Exclude<Precision, 'float32'>
  /** The input of each row's request. */
  requests: string
  /** float32 inputs that callers can give in bfloat16, or as bytes: `inputs` then says so of those that products alone read. */
  mayRound?: (input: string) => boolean
  /** Default: what suits the processor. */
  tiling?: Tiling
}

/**
 * Opens a graph of a plan. Resolves with the reason where it has a node that is not translated. Rejects with OnednnUnavailable where
 * the library can't be used, and where a file can't be read.
 */
export async function openProgram(
  folder: string,
  file: VariantFile,
  { precision, requests, mayRound = () => false, tiling = openLibrary().tiling }: ProgramOptions,
): Promise<OpenProgram | string> {
  const library = openLibrary()
  const graph = Graph.parse(await readFile(join(folder, file.file)), folder)
  graph.tidy()
  const program = new Program(library)
  const tables = new Tables(library)
  try {
    const rounds = precision === 'bfloat16'
    const translation = new Translation({ graph, requests, rounds, tiling }, program, library, tables)
    const context = new Set(file.context.map(({ name }) => name))
    // Callers need not give what the graph doesn't use.
    const used = graph.inputs.filter(({ name }) => graph.users(name).length > 0)
    const inputs = used.map((input) => {
      const described = describeInput(input)
      return described.type === 'float32' && mayRound(input.name) ? roundInput(translation, described) : described
    })
    for (const [input, { name, type, dims, scaled }] of inputs.entries()) {
      if (name === requests) continue
      const kind = type === 'int64' ? 'int32' : type
      const tensor = translation.result(context.has(name) ? 'requests' : 'rows', dims, kind)
      translation.set(scaled?.output ?? name, { ...tensor, input })
      for (const node of scaled?.nodes ?? []) translation.fusion.finish(node)
    }
    for (const node of graph.nodes) if (!translation.fusion.isDone(node)) translate(translation, node)
    const outputs = graph.outputs.map(({ name }) => {
      const { each, kind, dims, part } = translation.whole(translation.tensor(name))
      return { name, each, kind, part, result: { data: new Float32Array(0), dims: [0, ...dims] } }
    })
    if (outputs.some(({ kind }) => kind !== 'float32')) throw new NotTranslated('an output of integers')
    const results = Object.fromEntries(outputs.map(({ name, result }) => [name, result]))
    const sides = inputs.map(({ name }) => (name === requests ? 'numbers' : context.has(name) ? 'requests' : 'rows'))
    return {
      inputs: inputs.map(({ name, type, dims, scaled }) => ({
        name,
        type,
        rank: dims.length + 1,
        ...(scaled && { factors: scaled.factors }),
      })),
      run(feeds) {
        run(program, feeds, sides, outputs)
        return results
      },
      close() {
        program.close()
        tables.close()
      },
    }
  } catch (error) {
    tables.close()
    if (error instanceof NotTranslated) return error.message
    throw error
  }
}

type GraphType = 'int32' | 'int64' | 'float32'
type InputType = GraphType | 'bfloat16' | 'uint8'

interface Input {
  name: string
  type: InputType
  dims: number[]
  /** How callers make bytes of it. */
  scaled?: ScaledInput
}

interface Output {
  each: Each
  part: Part
  /** What it is in the latest call. */
  result: { data: Float32Array; dims: number[] }
}

/** What an input has a row for; `numbers`: the request of each row. */
type Side = Each | 'numbers'

function run(
  program: Program,
  feeds: readonly ProgramValue[],
  sides: readonly Side[],
  outputs: readonly Output[],
): void {
  let [rows, requests] = [0, 0]
  let numbers: Int32Array | undefined
  for (let i = 0; i < sides.length; i++) {
    const { data, dims } = feeds[i]!
    const side = sides[i]!
    if (side === 'numbers') numbers = data as Int32Array
    else if (side === 'rows') rows = dims[0]!
    else requests = dims[0]!
  }
  const frame = program.run({ rows, requests, starts: startsOf(numbers, rows, requests), feeds })
  for (const { each, part, result } of outputs) {
    const count = each === 'rows' ? rows : requests
    result.data = rowsOf(frame, part, count)
    result.dims[0] = count
  }
}

/** Rows of a part, side by side. */
function rowsOf({ at, floats }: Frame, { buffer, offset, stride, width }: Part, rows: number): Float32Array {
  const first = at[buffer]! / 4 + offset
  if (stride === width) return floats.subarray(first, first + rows * width)
  const values = new Float32Array(rows * width)
  for (let row = 0; row < rows; row++) {
    const from = first + row * stride
    values.set(floats.subarray(from, from + width), row * width)
  }
  return values
}

/** The first row of each request, and the number of rows. A single number stands for a single request. */
function startsOf(numbers: Int32Array | undefined, rows: number, requests: number): Int32Array {
  const starts = new Int32Array(requests + 1).fill(rows)
  starts[0] = 0
  if (numbers === undefined || requests <= 1) return starts
  for (let row = 1; row < numbers.length; row++) if (numbers[row] !== numbers[row - 1]) starts[numbers[row]!] = row
  return starts
}

/** Columns of bytes that callers round at a time. */
const byteColumns = 16

/** An input of floats, as bytes or in bfloat16 where products can read it so. */
function roundInput(translation: Translation, input: Input): Input {
  const { name, dims } = input
  const scaled = scaledInput(translation, name)
  if (scaled && dims.length === 1 && dims[0] === scaled.factors.length && dims[0]! % byteColumns === 0)
    return { ...input, type: 'uint8', scaled }
  return translation.fusion.isOperand(name, dims) ? { ...input, type: 'bfloat16' } : input
}

function describeInput({ name, type }: ValueInfoProto): Input {
  const value = type?.value
  if (value?.case !== 'tensorType') throw new NotTranslated(`the input ${name} is no tensor`)
  const { elemType, shape } = value.value
  const kind = inputTypes[elemType]
  const dims =
    shape?.dim.slice(1).map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : Number.NaN)) ?? []
  if (kind === undefined || !Number.isInteger(product(dims)))
    throw new NotTranslated(`the input ${name} has no fixed width, or another type`)
  return { name, type: kind, dims }
}

const inputTypes: Record<number, GraphType> = {
  [DataType.FLOAT]: 'float32',
  [DataType.INT32]: 'int32',
  [DataType.INT64]: 'int64',
}

function translate(t: Translation, node: NodeProto): void {
  const add = (node.domain === '' ? operators : node.domain === microsoft ? contributed : {})[node.opType]
  if (add === undefined) throw new NotTranslated(`${node.opType} is not translated`)
  add(t, node)
}

/** Operators of ONNX Runtime's own. */
const contributed: Record<string, Translator> = { MatMulIntegerToFloat: matMulIntegerToFloat, QGemm: qGemm }

const operators: Record<string, Translator> = {
  Abs: unary('Abs'),
  Add: add,
  Cast: cast,
  Concat: concat,
  DequantizeLinear: dequantizeLinear,
  Div: elementwise((a, b) => a / b),
  Exp: unary('Exp'),
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  Identity: (t, node) => t.set(node.output[0]!, t.tensor(node.input[0]!)),
  Log: unary('Log'),
  MatMul: matMul,
  MatMulInteger: matMulInteger,
  Mul: elementwise((a, b) => a * b),
  Neg: unary('Neg'),
  QuantizeLinear: quantizeLinear,
  Relu(t, node) {
    if (t.fusion.relus.isTaken(node)) t.set(node.output[0]!, t.tensor(node.input[0]!))
    else unary('Relu')(t, node)
  },
  Reshape: reshape,
  Sigmoid: sigmoid,
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Sqrt: unary('Sqrt'),
  Sub: elementwise((a, b) => a - b),
  Tanh: unary('Tanh'),
}
