import { join } from 'node:path'
import { inputsOf, tensorOf } from '../../../base/onnxruntime.ts'
import type { CompiledPlan, LayerParts, VariantFile, VariantFiles } from '../../contracts/compiled-plan.ts'
import { lengthTensor } from '../../contracts/list-length.ts'
import { type InputRows, openSession } from '../int8/observe-ranges.ts'
import type { ProgramResults } from '../onednn/create-program.ts'
import { openProgram } from '../onednn/open-program.ts'
import type { ProgramOptions } from '../onednn/stages.ts'
import { planNames } from '../sides/tensor-names.ts'

/* The test of oneDNN at each load: graphs by side answer as they do in ONNX Runtime. */

/** Rows of the requests of a call: a single one, and more than one class of rows each. */
const requestRows = [1, 40, 72]
const totalRows = requestRows.reduce((sum, rows) => sum + rows, 0)

/**
 * Largest difference, as a part of a tensor's largest value, or of 1: int8 computes the same integers, bfloat16 has 8
 * bits.
 */
const tolerances = { int8: 1e-5, bfloat16: 0.05 }

type Values = Record<string, GraphFeed>
type Rounding = ProgramOptions['precision']

/**
 * Computes requests made of some rows by both engines, with each graph that oneDNN computes. Rejects with the first
 * difference. The library compiles its kernels here, which is once for all threads: workers then open the graphs in an
 * instant. `open`: what opens a graph in oneDNN.
 */
export async function testGraphs(
  { folder }: Pick<CompiledPlan, 'folder'>,
  files: VariantFiles,
  precision: Rounding,
  rows: InputRows,
  open = openProgram,
): Promise<void> {
  const test = (file: VariantFile, more?: Values) => testGraph({ folder, file, precision, rows, more, open })
  if (files.shared_context) await test(files.shared_context)
  if (files.candidate_encoder === undefined || files.cached === undefined) return
  const parts = await test(files.candidate_encoder)
  const contexts = files.context_encoder && (await test(files.context_encoder))
  await test(
    files.cached,
    sumsOf(files.layers, parts, contexts?.[planNames.contexts]?.data as Float32Array | undefined),
  )
}

interface Tested {
  folder: string
  file: VariantFile
  precision: Rounding
  rows: InputRows
  /** Inputs that are computed by other graphs. */
  more: Values | undefined
  open: typeof openProgram
}

/** ONNX Runtime's outputs, after oneDNN's have been compared with them. */
async function testGraph({ folder, file, precision, rows, more = {}, open }: Tested): Promise<Values> {
  const session = await openSession(join(folder, file.file))
  const program = await open(folder, file, { precision, requests: planNames.requests })
  try {
    const given = Object.entries(more).filter(([name]) => session.inputNames.includes(name))
    const requests = file.oneRequest ? [totalRows] : requestRows
    const feeds = { ...graphFeeds(inputsOf(session), file, rows, requests), ...Object.fromEntries(given) }
    const tensors = Object.entries(feeds).map(([name, value]) => [name, tensorOf(value)] as const)
    const results = (await session.run(Object.fromEntries(tensors))) as unknown as Values
    // A graph that is not translated is left to ONNX Runtime.
    if (typeof program === 'object') {
      const values = program.inputs.map(({ name }) => feeds[name]!)
      compare(file, await program.run(values), results, tolerances[precision])
    }
    return results
  } finally {
    if (typeof program === 'object') await program.close()
    await session.release()
  }
}

function compare({ file }: VariantFile, actual: ProgramResults, expected: Values, part: number): void {
  for (const [name, { data }] of Object.entries(actual)) {
    const wanted = expected[name]!.data as Float32Array
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
    const apart = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - data[i]!)), 0)
    if (wanted.length !== data.length || !(apart <= part * largest))
      throw new Error(`oneDNN's answers in ${file} are ${apart.toPrecision(2)} from ONNX Runtime's`)
  }
}

/** The input of the cached graph for each layer: the sum of the candidate's part and the context's. */
function sumsOf(layers: readonly LayerParts[], parts: Values, contexts: Float32Array | undefined): Values {
  const requests = requestRows.flatMap((count, request) => new Array<number>(count).fill(request))
  const columns = contexts === undefined ? 0 : contexts.length / requestRows.length
  return Object.fromEntries(
    layers.map(({ width, kept, relu, context }, layer) => {
      const own = kept ? (parts[planNames.part(layer)]!.data as Float32Array) : undefined
      const data = Float32Array.from({ length: totalRows * width }, (_, i) => {
        const shared = context < 0 ? 0 : contexts![requests[Math.floor(i / width)]! * columns + context + (i % width)]!
        return Math.max((own?.[i] ?? 0) + shared, relu ? 0 : Number.NEGATIVE_INFINITY)
      })
      return [planNames.sum(layer), { data, dims: [totalRows, width] }]
    }),
  )
}

export interface GraphFeed {
  data: Float32Array | Int32Array | BigInt64Array
  dims: readonly number[]
}

/** An input of a graph; `rank`: how many dimensions it has. */
interface GraphInput {
  name: string
  type: string
  rank: number
}

/**
 * The inputs of a graph by side, by name, for requests with these numbers of rows: context columns of each request's
 * first row, the others of each row. If there are fewer rows, they repeat.
 */
export function graphFeeds(
  inputs: readonly GraphInput[],
  file: VariantFile,
  rows: InputRows,
  requests: readonly number[],
): Record<string, GraphFeed> {
  let total = 0
  const firsts = requests.map((count) => {
    total += count
    return total - count
  })
  const all = Array.from({ length: total }, (_, row) => row)
  const feeds: Record<string, GraphFeed> = {}
  for (const [packed, picked] of [
    [file.context, firsts],
    [file.rows, all],
  ] as const)
    for (const { name, input, columns } of packed) {
      const values = rows.inputs[input]
      const own = inputs.find((other) => other.name === name)
      if (values === undefined || own === undefined) continue
      const width = values.length / rows.rows
      const numbers = picked.flatMap((row) => columns.map((column) => values[(row % rows.rows) * width + column]!))
      const dims = own.rank === 1 ? [picked.length] : [picked.length, columns.length]
      if (own.type === 'int64') feeds[name] = { data: BigInt64Array.from(numbers, BigInt), dims }
      else feeds[name] = { data: (own.type === 'int32' ? Int32Array : Float32Array).from(numbers), dims }
    }
  if (inputs.some(({ name }) => name === planNames.requests)) {
    // A single number stands for a single request.
    const of = (count: number, request: number) => new Array<number>(count).fill(request)
    const numbers = requests.length === 1 ? [0] : requests.flatMap(of)
    feeds[planNames.requests] = { data: Int32Array.from(numbers), dims: [numbers.length] }
  }
  for (const list of file.lists ?? []) feeds[list.name] = lengthTensor(list.size)
  return feeds
}
