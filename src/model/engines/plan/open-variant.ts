import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { concat } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { inputsOf, onnxruntime, tensorOf } from '../../../base/onnxruntime.ts'
import type { Cost, VariantFile } from '../../contracts/compiled-plan.ts'
import type { Batch } from '../../contracts/engine.ts'
import { lengthTensor, longestList } from '../../contracts/list-length.ts'
import { OnednnUnavailable } from '../../graph/onednn/errors.ts'
import type { ProgramOptions } from '../../graph/onednn/stages.ts'
import { planNames } from '../../graph/sides/tensor-names.ts'
import { createPacker, type Feed, type Packer } from './packing.ts'
import type { FullCost, GraphSession, OpenVariant, RequestRows, Variant } from './variant.ts'

/** A cost with its default for joined requests: they share a call for free where their contexts make no difference. */
export function fullCost({ byRequest }: Variant, { short, engine, ...whole }: Cost): FullCost {
  const filled = ({ a, b, joined = { a, b: byRequest ? b : 0 } }: Cost) => ({ a, b, joined })
  return { ...filled(whole), ...(engine && { engine }), ...(short && { short: filled(short) }) }
}

/** Opens one graph of a plan in ONNX Runtime. Rejects with MODEL_FAILED where the file can't be opened. */
async function openSession(
  folder: string,
  { file }: VariantFile,
  options: InferenceSession.SessionOptions,
): Promise<GraphSession> {
  const session = await onnxruntime.InferenceSession.create(join(folder, file), options).catch((cause) => {
    throw new ModelError('MODEL_FAILED', `the compiled plan's ${file} can't be opened: ${reasonOf(cause)}`, { cause })
  })
  return graphSession(session)
}

/** A session of ONNX Runtime, as a variant calls it. */
export function graphSession(session: InferenceSession): GraphSession {
  const inputs = inputsOf(session)
  return {
    inputs,
    run(feeds) {
      const tensors = inputs.map(({ name }, i) => [name, tensorOf(feeds[i]!)] as const)
      return session.run(Object.fromEntries(tensors), { logSeverityLevel: 4 })
    },
    release: () => session.release(),
  }
}

/**
 * Opens one graph of a plan; `live`: the inputs of its live tables, by name. `precision`: of oneDNN, which is taken
 * where it can compute the graph; undefined: ONNX Runtime. Rejects with MODEL_FAILED where the file can't be opened.
 */
export async function openVariant(
  folder: string,
  file: VariantFile,
  options: InferenceSession.SessionOptions,
  live: Record<string, Feed> = {},
  precision?: ProgramOptions['precision'],
): Promise<OpenVariant> {
  const native = precision && (await openOnednn(folder, file, precision, options))
  const variant = createVariant(native ?? (await openSession(folder, file, options)), file, live)
  variant.cost.engine = native ? 'onednn' : 'onnx'
  return variant
}

/** The values that a call's inputs are made of. */
interface Call {
  batch: Batch
  requests: readonly RequestRows[]
  /** The first row of each request, and the rows of all. */
  firsts: Int32Array
  all: Int32Array
  sums: readonly Feed[]
}

/** A graph of a plan, or the one that it was compiled from, that computes rows of batches. */
export function createVariant(
  session: GraphSession,
  file: Pick<VariantFile, 'context' | 'rows' | 'lists' | 'oneRequest'>,
  live: Record<string, Feed> = {},
): OpenVariant {
  const packers = (inputs: VariantFile['rows']) =>
    inputs.flatMap((input) => {
      // An engine drops inputs that the graph doesn't use.
      const own = session.inputs.find(({ name }) => name === input.name)
      return own ? [createPacker(input, own.type, own.rank)] : []
    })
  const context = packers(file.context)
  const rows = packers(file.rows)
  // A graph for one request need not read which request a row is of.
  const oneRequest = file.oneRequest === true
  const byRequest = oneRequest || session.inputs.some(({ name }) => name === planNames.requests)
  const makers = session.inputs.map(({ name }): ((call: Call) => Feed) => {
    const isNamed = (packer: Packer) => packer.name === name
    const [ofContext, ofRows, layer] = [context.find(isNamed), rows.find(isNamed), planNames.layerOf(name)]
    if (ofContext) return ({ batch, firsts }) => ofContext.pack(batch, firsts)
    if (ofRows) return ({ batch, all }) => ofRows.pack(batch, all)
    if (name === planNames.requests) return ({ requests, all }) => numbersOf(requests, all.length)
    if (layer !== undefined) return ({ sums }) => sums[layer]!
    const list = file.lists?.find((other) => other.name === name)
    if (list)
      return ({ batch, firsts, all }) =>
        lengthTensor(longestList(list, batch.inputs, batch.rows, list.each === 'requests' ? firsts : all))
    // These are replaced between calls.
    return () => live[name]!
  })

  const run: OpenVariant['run'] = (batch, requests, sums = []) => {
    const firsts = new Int32Array(requests.length)
    for (let i = 0; i < requests.length; i++) firsts[i] = requests[i]!.rows[0]!
    const all = concat(
      Int32Array,
      requests.map(({ rows }) => rows),
    )
    const call = { batch, requests, firsts, all, sums }
    return session.run(makers.map((make) => make(call)))
  }

  return {
    session,
    context,
    rows,
    lists: file.lists ?? [],
    byRequest,
    oneRequest,
    mostRows: Number.POSITIVE_INFINITY,
    cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
    run,
  }
}

/** The index of each row's request; a single number stands for a single request. */
function numbersOf(requests: readonly RequestRows[], total: number): Feed {
  if (requests.length === 1) return { data: new Int32Array(1), dims: [1] }
  const numbers = new Int32Array(total)
  let start = 0
  requests.forEach(({ rows }, request) => {
    numbers.fill(request, start, start + rows.length)
    start += rows.length
  })
  return { data: numbers, dims: [total] }
}

/**
 * Opens one graph of a plan in oneDNN. Undefined where the library is missing here, or has nothing to compute.
 */
export async function openOnednn(
  folder: string,
  file: VariantFile,
  precision: ProgramOptions['precision'],
  session: NonNullable<ProgramOptions['session']>,
): Promise<GraphSession | undefined> {
  try {
    // Imported where it is needed: other plans do without the library.
    const { openProgram } = await import('../../graph/onednn/open-program.ts')
    const mayRound = (input: string) => planNames.layerOf(input) !== undefined
    const program = await openProgram(folder, file, { precision, requests: planNames.requests, mayRound, session })
    return typeof program === 'string'
      ? undefined
      : { inputs: program.inputs, run: program.run, release: program.close }
  } catch (error) {
    if (error instanceof OnednnUnavailable) return undefined
    throw error
  }
}
