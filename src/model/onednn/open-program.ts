import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { product } from '../base/dims.ts'
import type { VariantFile } from '../contracts/compiled-plan.ts'
import type { TensorData } from '../contracts/engine.ts'
import { Graph } from '../graph/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type ValueInfoProto } from '../graph/onnx_pb.ts'
import { cast, elementwise, softmax, unary } from './arithmetic.ts'
import { concat, flatten, gather, reshape, slice, split } from './layout.ts'
import { openLibrary } from './library.ts'
import { NotTranslated } from './not-translated.ts'
import { gemm, matMul } from './products.ts'
import { type Call, Program } from './program.ts'
import { Tables } from './tables.ts'
import { Translation, type Translator } from './translation.ts'

/** A value of a call: row-major [rows, …] data; bfloat16 as its bits. */
export interface ProgramValue {
  data: TensorData | BigInt64Array | Uint16Array
  dims: readonly number[]
}

/** A graph of a plan that oneDNN computes with products in bfloat16. One call at a time. */
export interface OpenProgram {
  inputs: { name: string; type: InputType; rank: number }[]
  /** Outputs by name; what they hold lives until the next call. */
  run(feeds: Record<string, ProgramValue>): Record<string, { data: Float32Array; dims: number[] }>
  close(): void
}

/**
 * Opens a float32 graph of a plan. Resolves with the reason where it has a node that is not translated. Rejects with
 * OnednnUnavailable where the library can't be used, and where a file can't be read. `requests`: its input of each row's request;
 * `mayRound`: float32 inputs that callers can give in bfloat16, which `inputs` then says of those that products alone read.
 */
export async function openProgram(
  folder: string,
  file: VariantFile,
  requests: string,
  mayRound: (input: string) => boolean = () => false,
): Promise<OpenProgram | string> {
  const library = openLibrary()
  const graph = Graph.parse(await readFile(join(folder, file.file)), folder)
  graph.tidy()
  const program = new Program(library)
  const tables = new Tables(library)
  try {
    const translation = new Translation(graph, program, library, tables, requests)
    const context = new Set(file.context.map(({ name }) => name))
    // Callers need not give what the graph doesn't use.
    const used = graph.inputs.filter(({ name }) => graph.users(name).length > 0)
    const inputs = used.map((input) => {
      const described = describeInput(input)
      const rounds =
        described.type === 'float32' && mayRound(input.name) && translation.isOperand(input.name, described.dims)
      return rounds ? { ...described, type: 'bfloat16' as const } : described
    })
    for (const { name, type, dims } of inputs) {
      if (name === requests) continue
      const kind = type === 'float32' || type === 'bfloat16' ? type : 'int32'
      const tensor = translation.result(context.has(name) ? 'requests' : 'rows', dims, kind)
      translation.set(name, { ...tensor, input: name })
    }
    for (const node of graph.nodes) translate(translation, node)
    const outputs = graph.outputs.map(({ name }) => ({ name, ...translation.whole(translation.tensor(name)) }))
    if (outputs.some(({ kind }) => kind !== 'float32')) throw new NotTranslated('an output of integers')
    return {
      inputs: inputs.map(({ name, type, dims }) => ({ name, type, rank: dims.length + 1 })),
      run: (feeds) => run(program, feeds, context, requests, outputs),
      close: () => tables.close(),
    }
  } catch (error) {
    tables.close()
    if (error instanceof NotTranslated) return error.message
    throw error
  }
}

type GraphType = 'int32' | 'int64' | 'float32'
type InputType = GraphType | 'bfloat16'

type Output = { name: string } & ReturnType<Translation['whole']>

function run(
  program: Program,
  feeds: Record<string, ProgramValue>,
  context: ReadonlySet<string>,
  requests: string,
  outputs: readonly Output[],
): ReturnType<OpenProgram['run']> {
  const counts = { rows: 0, requests: 0 }
  const data: Call['feeds'] = {}
  for (const [name, value] of Object.entries(feeds)) {
    data[name] = value.data
    if (name !== requests) counts[context.has(name) ? 'requests' : 'rows'] = value.dims[0]!
  }
  const numbers = feeds[requests]?.data as Int32Array | undefined
  const starts = startsOf(numbers, counts)
  const { at, floats } = program.run({ ...counts, starts, feeds: data })
  return Object.fromEntries(
    outputs.map(({ name, each, dims, part }) => {
      const rows = counts[each]
      const values = new Float32Array(rows * part.width)
      const first = at[part.buffer]! / 4 + part.offset
      if (part.stride === part.width) values.set(floats.subarray(first, first + values.length))
      else
        for (let row = 0; row < rows; row++) {
          const from = first + row * part.stride
          values.set(floats.subarray(from, from + part.width), row * part.width)
        }
      return [name, { data: values, dims: [rows, ...dims] }]
    }),
  )
}

/** The first row of each request, and the number of rows. A single number stands for a single request. */
function startsOf(numbers: Int32Array | undefined, counts: { rows: number; requests: number }): Int32Array {
  const starts = new Int32Array(counts.requests + 1).fill(counts.rows)
  starts[0] = 0
  if (numbers === undefined || counts.requests <= 1) return starts
  for (let row = 1; row < numbers.length; row++) if (numbers[row] !== numbers[row - 1]) starts[numbers[row]!] = row
  return starts
}

function describeInput({ name, type }: ValueInfoProto): { name: string; type: GraphType; dims: number[] } {
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
  if (node.domain !== '') throw new NotTranslated(`${node.opType} is no standard operator`)
  const add = operators[node.opType]
  if (add === undefined) throw new NotTranslated(`${node.opType} is not translated`)
  add(t, node)
}

const operators: Record<string, Translator> = {
  Abs: unary('Abs'),
  Add: elementwise((a, b) => a + b),
  Cast: cast,
  Concat: concat,
  Div: elementwise((a, b) => a / b),
  Exp: unary('Exp'),
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  Identity: (t, node) => t.set(node.output[0]!, t.tensor(node.input[0]!)),
  Log: unary('Log'),
  MatMul: matMul,
  Mul: elementwise((a, b) => a * b),
  Neg: unary('Neg'),
  Relu(t, node) {
    if (t.isClipped(node)) t.set(node.output[0]!, t.tensor(node.input[0]!))
    else unary('Relu')(t, node)
  },
  Reshape: reshape,
  Sigmoid: unary('Sigmoid'),
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Sqrt: unary('Sqrt'),
  Sub: elementwise((a, b) => a - b),
  Tanh: unary('Tanh'),
}
