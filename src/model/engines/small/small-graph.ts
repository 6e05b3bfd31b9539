import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { product } from '../../../base/arrays.ts'
import type { CompiledPlan } from '../../contracts/compiled-plan.ts'
import type { Batch } from '../../contracts/engine.ts'
import { constantBytes } from '../../graph/ir/external-data.ts'
import { Graph } from '../../graph/ir/graph.ts'
import { restoreSigmoids } from '../../graph/ir/sigmoids.ts'
import { readExternal } from '../../graph/lower/external-weights.ts'
import { translate } from '../../graph/operators/translate.ts'
import { NotTranslated } from '../../graph/rows/errors.ts'
import { type Call, Program } from '../../graph/rows/program.ts'
import { Tables } from '../../graph/rows/tables.ts'
import type { Part } from '../../graph/rows/tensor.ts'
import { Translation } from '../../graph/rows/translation.ts'
import { mostBytes, mostMultiplications } from './likely-small.ts'
import { exactKernels, operators } from './products.ts'

/**
 * A compiled graph that the calling thread computes, one row at a time: for a few rows that is over before ONNX Runtime
 * would begin.
 */
export interface SmallGraph {
  /** [batch.rows, width]. Throws RangeError for an id that a table doesn't have. */
  run(batch: Batch): Float32Array
  /** Bytes of its memory. */
  bytes: number
}

/**
 * Opens the full float32 graph of a plan. Resolves with the reason where it isn't small: it computes or keeps much, or
 * it has a node that isn't computed one row at a time. Rejects where its files can't be read.
 */
export async function openSmallGraph({ folder, description }: CompiledPlan): Promise<SmallGraph | string> {
  const { file, rows: packed, context } = description.float32.full
  const { multiplications = 0 } = description.passes.at(-1) ?? {}
  if (multiplications > mostMultiplications) return `a row takes ${multiplications} multiplications`
  if ((description.files[file]?.bytes ?? 0) > mostBytes) return 'its file is large'
  const graph = Graph.parse(await readFile(join(folder, file)), folder)
  restoreSigmoids(graph)
  if (constantBytes(graph) > mostBytes) return 'its constants are large'
  await readExternal(graph, folder)
  const program = createProgram()
  const translation = new Translation({ graph, program, tables: new Tables() })
  const feeds = [...context, ...packed].map(({ name, input, columns }): Feed => {
    const { dtype, width } = description.inputs.find((candidate) => candidate.name === input)!
    const tensor = translation.result('rows', [columns.length], dtype)
    translation.set(name, tensor)
    return { input, tensor: { dtype, part: tensor.parts[0]! }, columns, width }
  })
  try {
    const { part, dims } = translateGraph(translation, description.output)
    const width = product(dims)
    return width === description.width ? compute(program, feeds, part) : `it answers ${width} numbers a row`
  } catch (error) {
    if (error instanceof NotTranslated) return error.message
    throw error
  }
}

/** A program for one row at a time. */
export function createProgram(): Program {
  // Kernels may write a little behind a row.
  return new Program({ leastRows: 1, slack: 1, kernels: exactKernels })
}

/** Adds a graph's nodes to the program of a translation that knows its inputs; the output. Throws NotTranslated. */
export function translateGraph(translation: Translation, output: string): { part: Part; dims: readonly number[] } {
  const { graph } = translation
  graph.tidy()
  for (const node of graph.nodes) translate(translation, node, operators)
  const { kind, part, dims } = translation.whole(translation.tensor(output))
  if (kind !== 'float32') throw new NotTranslated('an output of integers')
  return { part, dims }
}

/** Columns of an input that are a row's tensor. */
interface Feed {
  input: string
  tensor: { dtype: 'float32' | 'int32'; part: Part }
  columns: readonly number[]
  /** Width of the input. */
  width: number
}

function compute(program: Program, feeds: readonly Feed[], output: Part): SmallGraph {
  const { at, floats, integers } = program.open(1)
  const takes = feeds.map(({ input, tensor: { dtype, part }, columns, width }) => {
    const target = dtype === 'int32' ? integers : floats
    const to = at[part.buffer]! / 4
    return (inputs: Batch['inputs'], row: number) => {
      const values = inputs[input]!
      const start = row * width
      for (let i = 0; i < columns.length; i++) target[to + i] = values[start + columns[i]!]!
    }
  })
  const from = at[output.buffer]! / 4 + output.offset
  const { width } = output
  return {
    bytes: floats.byteLength,
    run({ rows, inputs }) {
      const values = new Float32Array(rows * width)
      for (let row = 0; row < rows; row++) {
        for (const take of takes) take(inputs, row)
        program.run(oneRow)
        for (let i = 0; i < width; i++) values[row * width + i] = floats[from + i]!
      }
      return values
    },
  }
}

const oneRow: Call = { rows: 1, requests: 1, starts: Int32Array.of(0, 1), feeds: [] }
