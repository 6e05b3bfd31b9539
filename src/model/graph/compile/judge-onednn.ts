import { concat } from '../../../base/arrays.ts'
import type { CompiledPlan, VariantFile, VariantFiles, Verdict } from '../../contracts/compiled-plan.ts'
import { lengthTensor } from '../../contracts/list-length.ts'
import { compareLogits, type JudgedRows, judgedLogits, logit } from '../int8/judge.ts'
import type { InputRows } from '../int8/observe-ranges.ts'
import { openFastLibrary } from '../onednn/library.ts'
import { type OpenProgram, openProgram, type ProgramOptions } from '../onednn/open-program.ts'
import { planNames } from '../sides/tensor-names.ts'
import { testGraphs } from './test-graphs.ts'

/** Rows per call. */
const chunk = 512

/**
 * Largest difference of a probability in int8 between the engines: they compute the same integers, and floats in
 * another order.
 */
const tolerance = 1e-5

type Plan = Pick<CompiledPlan, 'folder' | 'description'>
type Rounding = ProgramOptions['precision']

/**
 * Compares the float32 plan with products in bfloat16 with ONNX Runtime's float32 on rows. Rejects where oneDNN can't
 * compute it here, with the reason. `products`: what computes them, such as `oneDNN 3.2.0, AMX`.
 */
export async function judgeBfloat16(plan: Plan, rows: JudgedRows): Promise<{ verdict: Verdict; products: string }> {
  const { folder, description } = plan
  const { probabilities, products } = await predictFull(plan, 'bfloat16', rows)
  const exact = await judgedLogits(folder, description.float32.full, rows)
  await testGraphs(plan, description.float32, 'bfloat16', rows)
  return { verdict: compareLogits(exact, probabilities.map(logit), rows), products }
}

/**
 * The library that computes int8 here in the place of ONNX Runtime, whose answers on the rows are `expected`. Rejects
 * with the reason where none does.
 */
export async function checkInt8(plan: Plan, rows: JudgedRows, expected: Float32Array): Promise<string> {
  const { probabilities, products } = await predictFull(plan, 'int8', rows)
  const apart = probabilities.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
  if (!(apart <= tolerance)) throw new Error(`oneDNN's answers are ${apart.toPrecision(2)} from ONNX Runtime's`)
  await testGraphs(plan, plan.description.int8!, 'int8', rows)
  return products
}

/**
 * Opens the full graph of a plan in oneDNN. Rejects with the reason where that can't compute it here, or is not faster.
 */
export async function openFull(
  { folder, description }: Plan,
  precision: Rounding,
): Promise<{ program: OpenProgram; products: string }> {
  const { title } = openFastLibrary(precision)
  const program = await openProgram(folder, filesIn(description, precision).full, optionsOf(precision))
  if (typeof program === 'string') throw new Error(`oneDNN does not compute this graph: ${program}`)
  const { reason } = program
  return { program, products: reason === undefined ? title : `${title}, behind a part in ONNX Runtime (${reason})` }
}

async function predictFull(
  plan: Plan,
  precision: Rounding,
  rows: JudgedRows,
): Promise<{ probabilities: Float32Array; products: string }> {
  const { program, products } = await openFull(plan, precision)
  const { description } = plan
  try {
    const { full } = filesIn(description, precision)
    return { probabilities: await predict(program, description.output, full, rows), products }
  } finally {
    await program.close()
  }
}

const optionsOf = (precision: Rounding): ProgramOptions => ({ precision, requests: planNames.requests })

function filesIn({ float32, int8 }: Plan['description'], precision: Rounding): VariantFiles {
  return precision === 'int8' ? int8! : float32
}

async function predict(
  program: OpenProgram,
  output: string,
  { rows: packed, lists = [] }: VariantFile,
  { rows, inputs }: InputRows,
): Promise<Float32Array> {
  const parts: Float32Array[] = []
  for (let start = 0; start < rows; start += chunk) {
    const count = Math.min(chunk, rows - start)
    const feeds = program.inputs.map(({ name, type }) => {
      const list = lists.find((other) => other.name === name)
      if (list !== undefined) return lengthTensor(list.size)
      const { input, columns } = packed.find((other) => other.name === name)!
      const width = columns.length
      const values = inputs[input]!.slice(start * width, (start + count) * width)
      return { data: type === 'int64' ? BigInt64Array.from(values, BigInt) : values, dims: [count, width] }
    })
    const { [output]: answers } = await program.run(feeds)
    parts.push(answers!.data.slice())
  }
  return concat(Float32Array, parts)
}
