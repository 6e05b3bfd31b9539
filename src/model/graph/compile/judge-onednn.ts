import { concat } from '../../../base/arrays.ts'
import type { CompiledPlan, VariantFile, VariantFiles, Verdict } from '../../contracts/compiled-plan.ts'
import { compareLogits, type JudgedRows, judgedLogits, logit } from '../int8/judge.ts'
import type { InputRows } from '../int8/observe-ranges.ts'
import { openFastLibrary } from '../onednn/library.ts'
import { openProgram } from '../onednn/open-program.ts'
import type { OpenProgram, ProgramOptions } from '../onednn/stages.ts'
import { planNames } from '../sides/tensor-names.ts'
import { graphFeeds, testGraphs } from './test-graphs.ts'

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
  const exact = await judgedLogits(folder, description.float32.full, rows)
  let judged: { verdict: Verdict; products: string } | undefined
  let problem: unknown
  for (const file of judgedFiles(description, 'bfloat16'))
    try {
      const { probabilities, products } = await predictBy(plan, file, 'bfloat16', rows)
      const verdict = compareLogits(exact, probabilities.map(logit), rows)
      if (judged === undefined || judged.verdict.passed) judged = { verdict, products }
    } catch (error) {
      problem ??= error
    }
  if (judged === undefined) throw problem
  await testGraphs(plan, description.float32, 'bfloat16', rows)
  return judged
}

/**
 * The graphs that judge a precision: the full one, and one of products for a single request, which the full graph
 * computes in another way.
 */
function judgedFiles(description: Plan['description'], precision: Rounding): VariantFile[] {
  const { full, shared_context: shared } = filesIn(description, precision)
  return shared?.oneRequest && precision === 'bfloat16' ? [full, shared] : [full]
}

/**
 * The library that computes int8 here in the place of ONNX Runtime, whose answers on the rows are `expected`. Rejects
 * with the reason where none does.
 */
export async function checkInt8(plan: Plan, rows: JudgedRows, expected: Float32Array): Promise<string> {
  const { probabilities, products } = await predictBy(plan, plan.description.int8!.full, 'int8', rows)
  const apart = probabilities.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
  if (!(apart <= tolerance)) throw new Error(`oneDNN's answers are ${apart.toPrecision(2)} from ONNX Runtime's`)
  await testGraphs(plan, plan.description.int8!, 'int8', rows)
  return products
}

/** The library that computes a plan here. Rejects with the reason where oneDNN can't, or is not faster. */
export async function productsBy(plan: Plan, precision: Rounding): Promise<string> {
  let problem: unknown
  for (const file of judgedFiles(plan.description, precision))
    try {
      const { program, products } = await openFast(plan, file, precision)
      await program.close()
      return products
    } catch (error) {
      problem ??= error
    }
  throw problem
}

async function openFast(
  { folder }: Plan,
  file: VariantFile,
  precision: Rounding,
): Promise<{ program: OpenProgram; products: string }> {
  const { title } = openFastLibrary(precision)
  const program = await openProgram(folder, file, optionsOf(precision))
  if (typeof program === 'string') throw new Error(`oneDNN does not compute this graph: ${program}`)
  const { reason } = program
  return { program, products: reason === undefined ? title : `${title}, behind a part in ONNX Runtime (${reason})` }
}

async function predictBy(
  plan: Plan,
  file: VariantFile,
  precision: Rounding,
  rows: JudgedRows,
): Promise<{ probabilities: Float32Array; products: string }> {
  const { program, products } = await openFast(plan, file, precision)
  try {
    return { probabilities: await predict(program, plan.description.output, file, rows), products }
  } finally {
    await program.close()
  }
}

const optionsOf = (precision: Rounding): ProgramOptions => ({ precision, requests: planNames.requests })

function filesIn({ float32, int8 }: Plan['description'], precision: Rounding): VariantFiles {
  return precision === 'int8' ? int8! : float32
}

/** Probabilities [rows, tasks]. The rows of a graph for one request are requests of their own. */
async function predict(
  program: OpenProgram,
  output: string,
  file: VariantFile,
  { rows, inputs }: InputRows,
): Promise<Float32Array> {
  const parts: Float32Array[] = []
  const most = file.oneRequest ? 1 : chunk
  for (let start = 0; start < rows; start += most) {
    const count = Math.min(most, rows - start)
    const own = Object.entries(inputs).map(([name, values]) => {
      const width = values.length / rows
      return [name, values.subarray(start * width, (start + count) * width)] as const
    })
    const feeds = graphFeeds(program.inputs, file, { rows: count, inputs: Object.fromEntries(own) }, [count])
    const { [output]: answers } = await program.run(program.inputs.map(({ name }) => feeds[name]!))
    parts.push(answers!.data.slice())
  }
  return concat(Float32Array, parts)
}
