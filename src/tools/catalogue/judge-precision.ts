import { concat } from '../../base/arrays.ts'
import { createUniform } from '../../base/hash.ts'
import type { RowPrecision } from '../../model/contracts/catalogue.ts'
import { type CompiledPlan, filesOf, type Verdict } from '../../model/contracts/compiled-plan.ts'
import type { Batch } from '../../model/contracts/engine.ts'
import { keptWidths } from '../../model/engines/catalogue/read-catalogue.ts'
import { canStore, createRowReader, writeRows } from '../../model/engines/catalogue/row-format.ts'
import { sessionOptions } from '../../model/engines/onnx/onnx.ts'
import { openVariant } from '../../model/engines/plan/open-variant.ts'
import { createRowMemory } from '../../model/engines/plan/row-memory.ts'
import { createCachedVariant } from '../../model/engines/plan/variant.ts'
import { tooFew } from '../../model/graph/int8/different-rows.ts'
import { compareLogits, type JudgedRows, judgedLogits, logit, passesClearly } from '../../model/graph/int8/judge.ts'
import type { InputRows } from '../../model/graph/int8/observe-ranges.ts'
import type { QuantizationRows } from '../../model/serving/bundle/quantization.ts'
import { fillCrossed } from '../../model/serving/features/crossed.ts'
import { drawRow } from '../../model/serving/features/draw.ts'
import { encoderOf } from '../../model/serving/features/encoder.ts'
import { bindingsOf } from '../../model/serving/prediction/bindings.ts'
import { describeGraph } from '../../model/serving/prediction/load-graph.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { openCandidateParts } from './candidate-rows.ts'

/** A choice that the command line may ask for. */
export type WantedPrecision = RowPrecision | 'auto'

/** From the narrowest to the widest. */
const narrow: RowPrecision[] = ['int8', 'bfloat16']

export interface PrecisionChoice {
  precision: RowPrecision
  /** The effect on the answers of each narrower precision that was tried. */
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
 * Chooses how rows are stored: float32, or a narrower precision whose answers stay within the limits of int8 plans.
 * `auto` takes the narrowest that does so with a margin, since other candidates differ.
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

/**
 * The half of the quantization rows that judges int8; without them, candidates of the catalogue, each with a drawn
 * context.
 */
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
    const { sparse: isSparse, column, width, weights } = encoder.layout.byName.get(name)!
    const [to, from] = isSparse ? [sparse!, other.sparse] : [dense!, other.dense]
    copyColumns(to, from, rows, column, width)
    if (weights !== undefined) copyColumns(dense!, other.dense, rows, weights, width)
  }
  const { crossed, sparse: columns } = encoder.layout
  if (sparse) fillCrossed(crossed, sparse as Int32Array, columns.length, 0, rows)
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

function copyColumns<T extends InputRows['inputs'][string]>(
  to: T,
  from: ArrayLike<number>,
  rows: number,
  first: number,
  columns: number,
): void {
  const width = from.length / rows
  for (let row = 0; row < rows; row++)
    for (let i = row * width + first; i < row * width + first + columns; i++) to[i] = from[i]!
}

/** Rows per call. */
const chunk = 128

/** Answers as those of a server that has the rows' candidates from a catalogue. */
export interface CachedAnswers {
  /** Logits [rows, tasks] with parts stored in a precision; undefined where it can't hold one of the values. */
  logits(rows: InputRows, precision: RowPrecision): Promise<Float32Array | undefined>
  close(): Promise<void>
}

/**
 * Opens the graphs of a plan that compute rows of cached candidates. Rejects with MODEL_FAILED if one can't be opened.
 */
export async function openCachedAnswers(plan: CompiledPlan): Promise<CachedAnswers> {
  const { cached, context_encoder, layers } = filesOf(plan)
  const parts = await openCandidateParts(plan)
  const rest = await openVariant(plan.folder, cached!, sessionOptions(1))
  const contextEncoder = context_encoder && (await openVariant(plan.folder, context_encoder, sessionOptions(1)))
  const memory = createRowMemory({ layers, slots: chunk, mostRows: chunk })
  const variant = createCachedVariant(contextEncoder, rest, layers, memory)
  const width = keptWidths(layers).reduce((sum, width) => sum + width, 0)

  return {
    async logits({ rows, inputs }, precision) {
      const answers: Float32Array[] = []
      for (let start = 0; start < rows; start += chunk) {
        const count = Math.min(chunk, rows - start)
        const batch = { rows: count, inputs: part(inputs, rows, start, count) }
        const all = Int32Array.from({ length: count }, (_, row) => row)
        const values = await parts.compute(batch, all)
        if (!canStore(precision, values)) return undefined
        const shape = { precision, keyWords: 0, width }
        const stored = createRowReader(shape)(writeRows(shape, new Int32Array(0), values))
        for (const row of all) memory.keepRow(row, (floats, at) => stored.load(row, floats, at))
        // Each row has a context of its own.
        const requests = Array.from(all, (row) => ({ rows: Int32Array.of(row), slots: Int32Array.of(row) }))
        for (const call of variant.oneRequest ? requests.map((request) => [request]) : [requests]) {
          const { [plan.description.output]: output } = await variant.run(batch, call)
          answers.push((output!.data as Float32Array).map(logit))
        }
      }
      return concat(Float32Array, answers)
    },
    async close() {
      for (const { session } of [rest, ...(contextEncoder ? [contextEncoder] : [])]) await session.release()
      await parts.close()
    },
  }
}

/** Rows `start` … `start + count` of every input. */
function part(inputs: InputRows['inputs'], rows: number, start: number, count: number): InputRows['inputs'] {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, values]) => {
      const width = values.length / rows
      return [name, values.slice(start * width, (start + count) * width)]
    }),
  )
}
