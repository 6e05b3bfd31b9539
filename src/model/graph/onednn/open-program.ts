import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { inputsOf, onnxruntime, tensorOf, withExternalData } from '../../../base/onnxruntime.ts'
import type { VariantFile } from '../../contracts/compiled-plan.ts'
import type { ListLength } from '../../contracts/list-length.ts'
import { Graph } from '../ir/graph.ts'
import { traceShapes } from '../ir/shapes.ts'
import { restoreSigmoids } from '../ir/sigmoids.ts'
import { NotTranslated } from '../rows/errors.ts'
import {
  type CreatedProgram,
  createProgram,
  type ProgramInput,
  type ProgramResults,
  type ProgramValue,
  type TranslationOptions,
  untranslatedNodes,
} from './create-program.ts'
import { type Cut, cutBehind, type InputSides } from './leading-part.ts'
import { type Library, openLibrary } from './library.ts'
import { mostExact } from './operand.ts'

/** A graph of a plan that oneDNN computes, perhaps behind a part of it that ONNX Runtime does. One call at a time. */
export interface OpenProgram {
  inputs: readonly ProgramInput[]
  /** `feeds`: in the order of `inputs`. The outputs' numbers live until the next call. */
  run(feeds: readonly ProgramValue[]): Promise<ProgramResults>
  /** Why ONNX Runtime computes a part. */
  reason?: string
  close(): Promise<void>
}

export interface ProgramOptions extends TranslationOptions {
  /** The input of each row's request. */
  requests: string
  /** Options of the part that ONNX Runtime computes; default: one thread. */
  session?: InferenceSession.SessionOptions
  /** Weights of a product behind that part, at least: with fewer, ONNX Runtime computes all. */
  leastWeights?: number
}

/**
 * Opens a graph of a plan. Resolves with the reason where oneDNN has nothing to compute: a node is not translated, and
 * no large product follows. Rejects with OnednnUnavailable where the library can't be used, and where a file can't be
 * read.
 */
export async function openProgram(
  folder: string,
  file: VariantFile,
  options: ProgramOptions,
): Promise<OpenProgram | string> {
  const library = openLibrary()
  const graph = Graph.parse(await readFile(join(folder, file.file)), folder)
  restoreSigmoids(graph)
  graph.tidy()
  const sides: InputSides = {
    context: new Set(file.context.map(({ name }) => name)),
    requests: options.requests,
    lengths: new Set(file.lists?.map(({ name }) => name)),
  }
  const { lists = [] } = file
  try {
    if (lists.length > 0) throw new NotTranslated('lists are cut to their lengths')
    const { inputs, run, close } = createProgram(library, graph, { ...options, ...sides })
    return { inputs, run: async (feeds) => run(feeds), close: async () => close() }
  } catch (error) {
    if (!(error instanceof NotTranslated)) throw error
    const { message: reason } = error
    const joined = await openBehind(library, graph, sides, { ...options, ...file, lists })
    return joined ? { ...joined, reason } : `${reason}, and no large product follows`
  }
}

/** Opens a graph behind its leading part. Undefined where no product follows that part. */
async function openBehind(
  library: Library,
  graph: Graph,
  sides: InputSides,
  options: ProgramOptions & { lists: readonly ListLength[]; oneRequest?: true },
): Promise<OpenProgram | undefined> {
  // ONNX Runtime can't run every graph on zeros.
  const single = options.oneRequest && new Set([...sides.context, sides.requests])
  const isTraced = await traceLists(graph, options.lists, single).then(
    () => true,
    () => false,
  )
  if (!isTraced) return undefined
  const cut = translated(() => cutBehind(graph, untranslatedNodes(library, graph, { ...options, ...sides }), sides))
  if (cut === undefined || !hasProduct(cut.rest, options.leastWeights)) return undefined
  const { leading, rest, context } = cut
  const mayRound = (input: string) => !leading.inputs.includes(input) && (options.mayRound?.(input) ?? false)
  const program = translated(() => createProgram(library, rest, { ...options, ...sides, context, mayRound }))
  if (program === undefined) return undefined
  try {
    return await joinParts(leading, program, graph.folder, options.session)
  } catch (error) {
    program.close()
    throw error
  }
}

/**
 * Traces the shapes of a graph: a side that a list's length changes is −1, and no program reads such a tensor.
 * `single`: the inputs of requests, where a call has one.
 */
async function traceLists(graph: Graph, lists: readonly ListLength[], single?: ReadonlySet<string>): Promise<void> {
  await traceShapes(graph, Object.fromEntries(lists.map(({ name, size }) => [name, size])), single)
  if (lists.length > 0) {
    const whole = new Map(graph.shapes)
    await traceShapes(graph, Object.fromEntries(lists.map(({ name }) => [name, 1])), single)
    for (const [name, { dtype, dims }] of whole) {
      const short = graph.shapes.get(name)?.dims
      graph.shapes.set(name, {
        dtype,
        dims: dims.map((side, i) => (short?.[i] === side ? side : i === 0 ? Math.min(side, -2) : -1)),
      })
    }
  }
  if (single) countRequests(graph, single, new Set(lists.map(({ name }) => name)))
}

/** The first side of what follows from inputs of requests alone counts these, though a call has one. */
function countRequests({ nodes, constants, shapes }: Graph, single: ReadonlySet<string>, lengths: ReadonlySet<string>) {
  const ofRequests = new Set(single)
  for (const { input, output } of nodes) {
    const read = input.filter((name) => name !== '' && !constants.has(name) && !lengths.has(name))
    if (read.length > 0 && read.every((name) => ofRequests.has(name))) for (const name of output) ofRequests.add(name)
  }
  for (const name of ofRequests) {
    const shape = shapes.get(name)
    if (shape?.dims[0] === 1) shapes.set(name, { ...shape, dims: [-1, ...shape.dims.slice(1)] })
  }
}

function translated<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    if (error instanceof NotTranslated) return undefined
    throw error
  }
}

const products = ['Gemm', 'MatMul', 'MatMulInteger', 'MatMulIntegerToFloat', 'QGemm']

/** Whether a graph has a product that is worth a call beside ONNX Runtime's. */
function hasProduct(graph: Graph, leastWeights = mostExact + 1): boolean {
  const isLarge = (name: string) => product(graph.dimsOf(name) ?? []) >= leastWeights
  return graph.nodes.some(({ opType, input }) => products.includes(opType) && input.some(isLarge))
}

/** Runs the leading part in ONNX Runtime, and then the program. `folder`: of the tables' files. */
async function joinParts(
  { model, inputs: names }: Cut['leading'],
  program: CreatedProgram,
  folder: string,
  options: InferenceSession.SessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1 },
): Promise<OpenProgram> {
  const session = await onnxruntime.InferenceSession.create(model, withExternalData(options, folder))
  const led = inputsOf(session) as ProgramInput[]
  const given = program.inputs.filter(({ name }) => !session.outputNames.includes(name) && !names.includes(name))
  const inputs: ProgramInput[] = [...led, ...given]
  /** Where the program's inputs come from: the feeds, or else the outputs of the leading part. */
  const places = program.inputs.map(({ name }) => inputs.findIndex((input) => input.name === name))
  return {
    inputs,
    async run(feeds) {
      const tensors = led.map(({ name }, i) => [name, tensorOf(feeds[i]!)] as const)
      const results = await session.run(Object.fromEntries(tensors), { logSeverityLevel: 4 })
      return program.run(
        program.inputs.map(({ name }, i) => feeds[places[i]!] ?? (results[name] as unknown as ProgramValue)),
      )
    },
    async close() {
      program.close()
      await session.release()
    },
  }
}
