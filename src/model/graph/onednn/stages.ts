import type { InferenceSession } from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { inputsOf, onnxruntime, tensorOf, withExternalData } from '../../../base/onnxruntime.ts'
import type { Graph } from '../ir/graph.ts'
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
import type { PairParts } from './layers-over-pairs.ts'
import { cutBehind, type InputSides } from './leading-part.ts'
import type { Library } from './library.ts'
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

/** By the names of tensors. */
type Results = Record<string, ProgramValue>

/** A part of a graph, by one of the engines. */
interface Stage {
  inputs: readonly ProgramInput[]
  outputs: readonly string[]
  run(feeds: readonly ProgramValue[]): Promise<Results> | Results
  close(): Promise<void> | void
}

/** The parts of a graph, each of which reads what those before it compute. */
export class Stages {
  readonly #library: Library
  readonly #folder: string
  readonly #options: ProgramOptions
  readonly #stages: Stage[] = []

  /** `folder`: of the tables' files. */
  constructor(library: Library, folder: string, options: ProgramOptions) {
    this.#library = library
    this.#folder = folder
    this.#options = options
  }

  /** The outputs of the nodes of a graph of pairs that oneDNN can't compute. */
  readonly left = (pairs: Graph): Set<string> => {
    const nodes = untranslatedNodes(this.#library, pairs, { ...this.#options, context: new Set() })
    return new Set([...nodes].flatMap(({ output }) => output))
  }

  /** Adds a graph with layers over pairs. */
  async addPairs({ before, pairs, after, sides }: PairParts): Promise<boolean> {
    const program = translated(() => createProgram(this.#library, pairs, { ...this.#options, context: new Set() }))
    if (program === undefined) return false
    await this.#addBoth(before.toBytes(), pairs, program)
    if (!(await this.addBehind(after, sides))) await this.#addSession(after.toBytes())
    return true
  }

  /** Adds a leading part and the program behind it. Resolves to false where no large product follows that part. */
  async addBehind(graph: Graph, sides: InputSides): Promise<boolean> {
    const [library, options] = [this.#library, this.#options]
    const cut = translated(() => cutBehind(graph, untranslatedNodes(library, graph, { ...options, ...sides }), sides))
    if (cut === undefined || !hasProduct(cut.rest, options.leastWeights)) return false
    const { leading, rest, context } = cut
    const read = new Set([...this.#stages.flatMap(({ inputs }) => inputs.map(({ name }) => name)), ...leading.inputs])
    const mayRound = (input: string) => !read.has(input) && (options.mayRound?.(input) ?? false)
    const program = translated(() => createProgram(library, rest, { ...options, ...sides, context, mayRound }))
    if (program === undefined) return false
    await this.#addBoth(leading.model, rest, program)
    return true
  }

  /** Adds a model that ONNX Runtime computes, and the program of a graph that reads it. */
  async #addBoth(model: Uint8Array, { outputs }: Graph, program: CreatedProgram): Promise<void> {
    try {
      await this.#addSession(model)
    } catch (error) {
      program.close()
      throw error
    }
    this.#stages.push({ ...program, outputs: outputs.map(({ name }) => name) })
  }

  /** Adds a model that ONNX Runtime computes. */
  async #addSession(model: Uint8Array): Promise<void> {
    const options: InferenceSession.SessionOptions = this.#options.session ?? {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    }
    const session = await onnxruntime.InferenceSession.create(model, withExternalData(options, this.#folder))
    const inputs = inputsOf(session) as ProgramInput[]
    this.#stages.push({
      inputs,
      outputs: session.outputNames,
      async run(feeds) {
        const tensors = inputs.map(({ name }, i) => [name, tensorOf(feeds[i]!)] as const)
        return (await session.run(Object.fromEntries(tensors), { logSeverityLevel: 4 })) as unknown as Results
      },
      close: () => session.release(),
    })
  }

  /** The parts as one program. */
  joined(): OpenProgram {
    const inputs: ProgramInput[] = []
    const computed = new Set<string>()
    for (const stage of this.#stages) {
      for (const input of stage.inputs)
        if (!computed.has(input.name) && !inputs.some(({ name }) => name === input.name)) inputs.push(input)
      for (const name of stage.outputs) computed.add(name)
    }
    // Where inputs come from: the feeds, or else the parts before.
    const stages = this.#stages.map((stage) => ({
      stage,
      places: stage.inputs.map(({ name }) => ({ name, feed: inputs.findIndex((input) => input.name === name) })),
    }))
    return {
      inputs,
      async run(feeds) {
        let known: Results = {}
        let results: Results = {}
        for (const { stage, places } of stages) {
          results = await stage.run(places.map(({ name, feed }) => feeds[feed] ?? known[name]!))
          known = { ...known, ...results }
        }
        // The last part computes all outputs.
        return results as ProgramResults
      },
      close: () => this.close(),
    }
  }

  async close(): Promise<void> {
    for (const stage of this.#stages.splice(0)) await stage.close()
  }
}

/** Undefined where it is not translated. */
export function translated<T>(make: () => T): T | undefined {
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
