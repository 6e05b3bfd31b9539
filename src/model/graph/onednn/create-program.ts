import { product } from '../../../base/arrays.ts'
import type { Precision } from '../../contracts/compiled-plan.ts'
import type { TensorData } from '../../contracts/engine.ts'
import type { Graph } from '../ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type ValueInfoProto } from '../ir/onnx_pb.ts'
import { translate } from '../operators/translate.ts'
import { NotTranslated } from '../rows/errors.ts'
import { type Each, type Frame, Program } from '../rows/program.ts'
import { Tables } from '../rows/tables.ts'
import type { Part } from '../rows/tensor.ts'
import { type ScaledInput, scaledInput } from './bytes.ts'
import { isPairProduct, type PairOrder } from './layers-over-pairs.ts'
import { type InputSides, ReadableTensors } from './leading-part.ts'
import type { Library } from './library.ts'
import { operators } from './operators.ts'
import type { Tiling } from './tiling.ts'
import { OnednnTranslation } from './translation.ts'

/** A value of a call: row-major [rows, …] data; bfloat16 as its bits. */
export interface ProgramValue {
  data: TensorData | BigInt64Array | Uint16Array | Uint8Array
  dims: readonly number[]
}

/** Outputs by name. */
export type ProgramResults = Record<string, { data: Float32Array; dims: number[] }>

export interface TranslationOptions {
  /** bfloat16: products of a float32 graph are computed in it; int8: those that the compiler quantised. */
  precision: Exclude<Precision, 'float32'>
  /**
   * float32 inputs that callers can give in bfloat16, or as bytes: `inputs` then says so of those that products alone
   * read.
   */
  mayRound?: (input: string) => boolean
  /** Default: what suits the processor. */
  tiling?: Tiling
}

/** A graph that is translated. One call at a time. */
export interface CreatedProgram {
  inputs: ProgramInput[]
  /** `feeds`: in the order of `inputs`. The outputs' numbers live until the next call. */
  run(feeds: readonly ProgramValue[]): ProgramResults
  close(): void
}

type GraphOptions = InputSides & TranslationOptions

/** Rows of memory behind the last row: the last chunk of a product may compute some of them. */
const slack = 32

/** Translates a graph. Throws NotTranslated where it can't, and the system's error where a table can't be mapped. */
export function createProgram(library: Library, graph: Graph, options: GraphOptions): CreatedProgram {
  const { translation, inputs } = begin(library, graph, options)
  const { program } = translation
  try {
    for (const node of graph.nodes) translate(translation, node, operators)
    const outputs = graph.outputs.map(({ name }) => {
      const { each, kind, dims, part } = translation.whole(translation.tensor(name))
      return { name, each, kind, part, result: { data: new Float32Array(0), dims: [0, ...dims] } }
    })
    if (outputs.some(({ kind }) => kind !== 'float32')) throw new NotTranslated('an output of integers')
    const results = Object.fromEntries(outputs.map(({ name, result }) => [name, result]))
    const { context, requests } = options
    const sides = inputs.map(({ name, isOfCall }) =>
      name === requests ? 'numbers' : isOfCall ? 'call' : context.has(name) ? 'requests' : 'rows',
    )
    if (sides.includes('numbers') && !sides.includes('rows')) throw new NotTranslated('no input has a row for each row')
    const { pairs } = translation
    return {
      inputs: inputs.map(({ name, type, dims, scaled }) => ({
        name,
        type,
        rank: dims.length + 1,
        ...(scaled && { factors: scaled.factors }),
      })),
      run(feeds) {
        run(program, feeds, sides, outputs, pairs)
        return results
      },
      close: () => translation.close(),
    }
  } catch (error) {
    translation.close()
    throw error
  }
}

/** The nodes that are not translated, of a graph with the shapes of its tensors. Throws as `createProgram` does. */
export function untranslatedNodes(library: Library, graph: Graph, options: GraphOptions): Set<NodeProto> {
  const { translation } = begin(library, graph, options)
  const left = new Set<NodeProto>()
  const tensors = new ReadableTensors(graph, options)
  try {
    for (const node of graph.nodes)
      try {
        translate(translation, node, operators)
      } catch (error) {
        if (!(error instanceof NotTranslated)) throw error
        left.add(node)
        for (const name of node.output) {
          const found = tensors.get(name)
          if (found === undefined) continue
          const { each, kind, shape } = found
          translation.set(name, translation.result(each, shape.dims.slice(1), kind))
        }
      }
    return left
  } finally {
    translation.close()
  }
}

/** A translation that knows the inputs of its graph, and these. */
function begin(
  library: Library,
  graph: Graph,
  { precision, requests, context, unreadable, mayRound = () => false, tiling = library.tiling }: GraphOptions,
): { translation: OnednnTranslation; inputs: Input[] } {
  const rounds = precision === 'bfloat16'
  const program = new Program({ leastRows: 128, slack })
  const tables = new Tables((file, start, bytes) => library.map(file, start, bytes))
  const translation = new OnednnTranslation({ graph, program, tables, requests }, library, { rounds, tiling })
  // Callers need not give what the graph doesn't use.
  const used = graph.inputs.filter(
    ({ name }) => !unreadable?.has(name) && (graph.users(name).length > 0 || graph.isOutput(name)),
  )
  const inputs = used.map((input): Input => {
    if (graph.users(input.name).some(isPairProduct))
      return { name: input.name, type: 'float32', dims: [0], isOfCall: true }
    const described = describeInput(input)
    return described.type === 'float32' && mayRound(input.name) ? roundInput(translation, described) : described
  })
  for (const [input, { name, type, dims, scaled, isOfCall }] of inputs.entries()) {
    if (name === requests || isOfCall) continue
    const kind = type === 'int64' ? 'int32' : type
    const tensor = translation.result(context.has(name) ? 'requests' : 'rows', dims, kind)
    // Products read rows behind the last: callers' bytes have some, those of ONNX Runtime have not.
    const isLed = type === 'uint8' && scaled === undefined
    const given = { ...tensor, input }
    translation.set(scaled?.output ?? name, isLed ? translation.whole(given) : given)
    for (const node of scaled?.nodes ?? []) translation.finish(node)
  }
  return { translation, inputs }
}

type GraphType = 'int32' | 'int64' | 'float32' | 'uint8'

export interface ProgramInput {
  name: string
  type: GraphType | 'bfloat16'
  rank: number
  /**
   * Factors of the columns of an input of bytes: callers multiply by them, then round, halves to even, within 0 … 255.
   */
  factors?: Float32Array
}

interface Input {
  name: string
  type: ProgramInput['type']
  dims: number[]
  /** How callers make bytes of it. */
  scaled?: ScaledInput
  /** Whether its sides are neither rows nor requests. */
  isOfCall?: true
}

interface Output {
  each: Each
  part: Part
  /** The output in the latest call. */
  result: { data: Float32Array; dims: number[] }
}

/**
 * Whether an input has a row for each row of a call, or for each of its requests; `numbers`: the request of each row;
 * `call`: neither.
 */
type Side = Each | 'numbers' | 'call'

function run(
  program: Program,
  feeds: readonly ProgramValue[],
  sides: readonly Side[],
  outputs: readonly Output[],
  pairs: PairOrder | undefined,
): void {
  let [rows, requests] = [pairs?.count({ feeds }) ?? 0, 0]
  let numbers: Int32Array | undefined
  for (let i = 0; i < sides.length; i++) {
    const { data, dims } = feeds[i]!
    const side = sides[i]!
    if (side === 'numbers') numbers = data as Int32Array
    else if (side === 'rows') rows = dims[0]!
    else if (side === 'requests') requests = dims[0]!
  }
  const frame = program.run({ rows, requests, starts: startsOf(numbers, rows, requests), feeds })
  for (const { each, part, result } of outputs) {
    const count = each === 'rows' ? rows : requests
    const data = rowsOf(frame, part, count)
    result.data = pairs ? pairs.sorted({ feeds }, data, part.width) : data
    result.dims[0] = result.data.length / part.width
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
function roundInput(translation: OnednnTranslation, input: Input): Input {
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
  [DataType.UINT8]: 'uint8',
}
