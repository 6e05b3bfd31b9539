import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { product } from '../../../base/arrays.ts'
import type { CompiledPlan } from '../../contracts/compiled-plan.ts'
import type { Batch, TensorData } from '../../contracts/engine.ts'
import { constantBytes } from '../../graph/ir/external-data.ts'
import { Graph } from '../../graph/ir/graph.ts'
import { restoreSigmoids } from '../../graph/ir/unary-loops.ts'
import { readExternal } from '../../graph/lower/external-weights.ts'
import { mostBytes, mostMultiplications } from './likely-small.ts'
import { createHeap, Program, type RowTensor } from './program.ts'
import { translate } from './translate.ts'
import { NotSmall } from './translation.ts'

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
  const program = new Program()
  const inputs = new Map<string, RowTensor>()
  const feeds = [...context, ...packed].map(({ name, input, columns }): Feed => {
    const { dtype, width } = description.inputs.find((candidate) => candidate.name === input)!
    const integers = dtype === 'int32'
    const at = program.place(columns.length)
    inputs.set(name, { at, dims: [columns.length], integers })
    return { input, integers, to: at / 4, columns, width }
  })
  let output: RowTensor
  try {
    output = translate(graph, program, inputs, description.output)
    const width = product(output.dims)
    if (width !== description.width) throw new NotSmall(`it answers ${width} numbers a row`)
  } catch (error) {
    if (error instanceof NotSmall) return error.message
    throw error
  }
  return compute(program, feeds, output, description.width)
}

/** Columns of an input that are a row's tensor. */
interface Feed {
  input: string
  integers: boolean
  /** Place of the row's tensor in the heap, in numbers. */
  to: number
  columns: readonly number[]
  /** Width of the input. */
  width: number
}

function compute(program: Program, feeds: readonly Feed[], output: RowTensor, width: number): SmallGraph {
  const heap = createHeap(program.bytes)
  const { floats, integers } = heap
  for (const { at, values } of program.constants) floats.set(values, at / 4)
  const steps = program.steps.map((step) => step(heap))
  const from = output.at / 4
  return {
    bytes: floats.byteLength,
    run({ rows, inputs }) {
      const values = new Float32Array(rows * width)
      for (let row = 0; row < rows; row++) {
        for (const feed of feeds) take(feed, inputs[feed.input]!, row, feed.integers ? integers : floats)
        for (const step of steps) step()
        for (let i = 0; i < width; i++) values[row * width + i] = floats[from + i]!
      }
      return values
    },
  }
}

function take({ to, columns, width }: Feed, values: TensorData, row: number, target: TensorData): void {
  const start = row * width
  for (let i = 0; i < columns.length; i++) target[to + i] = values[start + columns[i]!]!
}
