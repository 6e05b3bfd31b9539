import { createUniform } from '../model/base/random.ts'
import type { QuantizationRows } from '../model/bundle/quantization.ts'
import { tooFew } from '../model/compile/int8/different-rows.ts'
import { compareLogits, type JudgedRows, judgedLogits, passesClearly } from '../model/compile/int8/judge.ts'
import type { RowPrecision } from '../model/contracts/catalogue.ts'
import type { CompiledPlan, Verdict } from '../model/contracts/compiled-plan.ts'
import type { Batch } from '../model/contracts/engine.ts'
import { drawRow } from '../model/features/draw-value.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { bindingsOf } from '../model/prediction/bindings.ts'
import { describeGraph } from '../model/prediction/load-graph.ts'
import type { Manifest } from '../schemas/manifest.ts'
import { type CachedAnswers, openCachedAnswers } from './cached-answers.ts'

/** What the command line may ask for. */
export type WantedPrecision = RowPrecision | 'auto'

/** From the narrowest to the widest. */
const narrow: RowPrecision[] = ['int8', 'bfloat16']

export interface PrecisionChoice {
  precision: RowPrecision
  /** What the narrower precisions that were tried did to the answers. */
  verdicts: Partial<Record<RowPrecision, Verdict>>
  /** Why the wanted precision was not taken. */
  problem: string | undefined
}

/** Rows that judge a precision, and what float32 answers. */
interface Judgement {
  rows: JudgedRows
  /** Logits [rows, tasks]. */
  expected: Float32Array
}

/**
 * Chooses how rows are stored: float32, or a narrower precision whose answers stay within the limits of int8 plans. `auto` takes
 * the narrowest that does so with a margin, since other candidates differ.
 */
export async function choosePrecision(
  wanted: WantedPrecision,
  plan: CompiledPlan,
  manifest: Manifest,
  quantization: QuantizationRows | undefined,
  sample: Batch,
): Promise<PrecisionChoice> {
  if (wanted === 'float32') return { precision: 'float32', verdicts: {}, problem: undefined }
  const refuse = (problem: string, verdicts: PrecisionChoice['verdicts'] = {}): PrecisionChoice => ({
    precision: 'float32',
    verdicts,
    problem: wanted === 'auto' ? undefined : `float32 is stored, not ${wanted}: ${problem}`,
  })
  const answers = await openCachedAnswers(plan)
  try {
    const judgement = await judgementOf(plan, manifest, quantization, sample, answers)
    const few = tooFew(judgement.rows)
    if (few !== undefined) return refuse(few)
    const verdicts: PrecisionChoice['verdicts'] = {}
    for (const precision of wanted === 'auto' ? narrow : [wanted]) {
      const actual = await answers.logits(judgement.rows, precision)
      if (actual === undefined) continue
      const verdict = compareLogits(judgement.expected, actual, judgement.rows)
      verdicts[precision] = verdict
      if (wanted === 'auto' ? passesClearly(verdict) : verdict.passed)
        return { precision, verdicts, problem: undefined }
    }
    const reasons = Object.values(verdicts).flatMap(({ reasons }) => reasons)
    return refuse(reasons.length > 0 ? reasons.join('; ') : 'it can not hold values that are not finite', verdicts)
  } finally {
    await answers.close()
  }
}

/** The half of the quantization rows that judges int8; without them, candidates of the catalogue, each with a drawn context. */
async function judgementOf(
  plan: CompiledPlan,
  manifest: Manifest,
  quantization: QuantizationRows | undefined,
  sample: Batch,
  answers: CachedAnswers,
): Promise<Judgement> {
  const judged = quantization && describeGraph(manifest, quantization).quantization?.judged
  if (judged) return { rows: judged, expected: await judgedLogits(plan.folder, plan.description.float32.full, judged) }
  const rows = withContexts(manifest, sample)
  return { rows, expected: (await answers.logits(rows, 'float32'))! }
}

/** The candidates of a batch with contexts and cross features that are drawn at random, the same each time. */
function withContexts(manifest: Manifest, { rows, inputs }: Batch): JudgedRows {
  const random = createUniform(1)
  const encoder = encoderOf(manifest)
  const { sparse: sparseName, dense: denseName } = bindingsOf(manifest)
  const [sparse, dense] = [sparseName, denseName].map((name) =>
    name === undefined ? undefined : inputs[name]!.slice(),
  )
  const drawn = Array.from({ length: rows }, () => drawRow(manifest.features, random))
  const other = encoder.rows(undefined, drawn, { maxRows: rows, partial: false })
  for (const { side, name } of manifest.features) {
    if (side === 'candidate') continue
    const { sparse: isSparse, column } = encoder.layout.byName.get(name)!
    const [to, from] = isSparse ? [sparse!, other.sparse] : [dense!, other.dense]
    const width = from.length / rows
    for (let row = 0; row < rows; row++) to[row * width + column] = from[row * width + column]!
  }
  return {
    rows,
    inputs: {
      ...(sparseName !== undefined && { [sparseName]: sparse! }),
      ...(denseName !== undefined && { [denseName]: dense! }),
    },
    labels: undefined,
    tasks: manifest.tasks.map(({ name }) => name),
  }
}
