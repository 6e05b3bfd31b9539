import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { VariantFile } from '../../contracts/compiled-plan.ts'
import type { ListLength } from '../../contracts/list-length.ts'
import { Graph } from '../ir/graph.ts'
import { traceShapes } from '../ir/shapes.ts'
import { restoreSigmoids } from '../ir/sigmoids.ts'
import { NotTranslated } from '../rows/errors.ts'
import { createProgram } from './create-program.ts'
import { divideAtPairs } from './layers-over-pairs.ts'
import type { InputSides } from './leading-part.ts'
import { type Library, openLibrary } from './library.ts'
import { type OpenProgram, type ProgramOptions, Stages, translated } from './stages.ts'

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

/** Opens a graph in parts, of which ONNX Runtime computes the first. Undefined where oneDNN has nothing to compute. */
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
  const stages = new Stages(library, graph.folder, options)
  try {
    const rounds = options.precision === 'bfloat16' && options.oneRequest === true
    const parts = rounds ? translated(() => divideAtPairs(graph, sides, stages.left)) : undefined
    const isOpen = parts ? await stages.addPairs(parts) : await stages.addBehind(graph, sides)
    if (isOpen) return stages.joined()
  } catch (error) {
    await stages.close()
    throw error
  }
  await stages.close()
  return undefined
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
