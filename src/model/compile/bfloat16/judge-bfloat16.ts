import { concat } from '../../base/concat.ts'
import type { CompiledPlan, VariantFiles, Verdict } from '../../contracts/compiled-plan.ts'
import { openFastLibrary } from '../../onednn/library.ts'
import { type OpenProgram, openProgram } from '../../onednn/open-program.ts'
import { compareLogits, type JudgedRows, judgedLogits, logit } from '../int8/judge.ts'
import { planNames } from '../sides/tensor-names.ts'

/** Rows per call. */
const chunk = 512

export interface JudgedBfloat16 {
  verdict: Verdict
  /** What computes the products, such as `oneDNN 3.2.0, AMX`. */
  products: string
}

/**
 * Compares the float32 plan with products in bfloat16 with ONNX Runtime's float32 on rows. Rejects where oneDNN can't compute it here,
 * with the reason.
 */
export async function judgeBfloat16(
  { folder, description }: Pick<CompiledPlan, 'folder' | 'description'>,
  rows: JudgedRows,
): Promise<JudgedBfloat16> {
  const { full } = description.float32
  const { program, products } = await openFull({ folder, description })
  try {
    const probabilities = predict(program, description.output, full, rows)
    const verdict = compareLogits(await judgedLogits(folder, full, rows), probabilities.map(logit), rows)
    await openOthers(folder, description.float32)
    return { verdict, products }
  } finally {
    program.close()
  }
}

/** Opens the full float32 graph of a plan in oneDNN. Rejects with the reason where that can't compute it here, or is not faster. */
export async function openFull({
  folder,
  description,
}: Pick<CompiledPlan, 'folder' | 'description'>): Promise<{ program: OpenProgram; products: string }> {
  const { title } = openFastLibrary()
  const program = await openProgram(folder, description.float32.full, planNames.requests)
  if (typeof program === 'string') throw new Error(`oneDNN does not compute this graph: ${program}`)
  return { program, products: title }
}

/** Has the library compile the kernels of the other graphs now, which is once for all threads: workers then open them in an instant. */
async function openOthers(folder: string, files: VariantFiles): Promise<void> {
  for (const file of [files.shared_context, files.candidate_encoder, files.context_encoder, files.cached]) {
    const program = file && (await openProgram(folder, file, planNames.requests))
    if (typeof program === 'object') program.close()
  }
}

function predict(
  program: OpenProgram,
  output: string,
  { rows: packed }: VariantFiles['full'],
  { rows, inputs }: JudgedRows,
): Float32Array {
  const parts: Float32Array[] = []
  for (let start = 0; start < rows; start += chunk) {
    const count = Math.min(chunk, rows - start)
    const feeds = Object.fromEntries(
      packed.map(({ name, input, columns }) => {
        const width = columns.length
        return [name, { data: inputs[input]!.slice(start * width, (start + count) * width), dims: [count, width] }]
      }),
    )
    parts.push(program.run(feeds)[output]!.data)
  }
  return concat(Float32Array, parts)
}
