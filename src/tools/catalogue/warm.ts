import { ModelError } from '../../base/errors.ts'
import type { CatalogueDescription, ReadyCatalogue } from '../../model/contracts/catalogue.ts'
import type { CompiledPlan } from '../../model/contracts/compiled-plan.ts'
import type { Batch } from '../../model/contracts/engine.ts'
import { canStore } from '../../model/engines/catalogue/row-format.ts'
import { CatalogueWriter } from '../../model/engines/catalogue/write-catalogue.ts'
import type { QuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { type CandidateFile, type CandidateParts, openCandidateParts } from './candidate-rows.ts'
import { choosePrecision, type PrecisionChoice, type WantedPrecision } from './judge-precision.ts'

export interface WarmOptions {
  plan: CompiledPlan
  manifest: Manifest
  quantization: QuantizationRows | undefined
  candidates: CandidateFile
  precision: WantedPrecision
  /** The catalogue to add candidates to; the precision is then its own. */
  base: ReadyCatalogue | undefined
  /** ms since 1970 */
  now: number
  signal: AbortSignal
  /** Rows that have been read, and of how many, if known. */
  onProgress(rows: number, total: number | undefined): void
}

export interface Warmed extends Omit<PrecisionChoice, 'precision'> {
  description: CatalogueDescription
  /** Candidates of the file, and those of them that were in it before, or in the base. */
  read: number
  repeated: number
}

/**
 * Computes what the plan keeps of the file's candidates, and writes it as the plan's catalogue. Rejects with a
 * SpecError for the file's rows, and with ModelError where the disk refuses; the former catalogue then stays.
 */
export async function warm(options: WarmOptions): Promise<Warmed> {
  const { candidates, base, precision, plan, manifest, quantization } = options
  const parts = await openCandidateParts(plan)
  try {
    const batches = candidates.batches()[Symbol.asyncIterator]()
    const first = await batches.next()
    if (first.done) throw new ModelError('INVALID_REQUEST', whyNone(candidates.leftOut()))
    // Judged by the first batch of candidates where the version has no rows that do so.
    const choice: PrecisionChoice = base
      ? { precision: base.description.precision, verdicts: {}, problem: undefined }
      : await choosePrecision(precision, plan, manifest, quantization, distinct(first.value, parts))
    const { verdicts, problem } = choice
    const writer = await CatalogueWriter.create({ ...options, keyWords: parts.keyWords, precision: choice.precision })
    try {
      let read = 0
      for (let next: IteratorResult<Batch> = first; !next.done; next = await batches.next()) {
        options.signal.throwIfAborted()
        await add(writer, parts, next.value, choice.precision)
        read += next.value.rows
        const share = candidates.progress()
        options.onProgress(read, share === undefined || share === 0 ? undefined : Math.round(read / share))
      }
      const before = base?.description.rows ?? 0
      const repeated = read - (writer.rows - before)
      options.signal.throwIfAborted()
      return { description: await writer.finish(), read, repeated, verdicts, problem }
    } catch (error) {
      await writer.abort()
      throw error
    }
  } finally {
    await parts.close()
  }
}

function whyNone(leftOut: number): string {
  return leftOut === 0 ? 'the catalogue has no rows' : `the table has none of the ${leftOut} keys in the file`
}

/** Adds the candidates of a batch that are not there yet. */
async function add(
  writer: CatalogueWriter,
  parts: CandidateParts,
  batch: Batch,
  precision: PrecisionChoice['precision'],
): Promise<void> {
  const keys = parts.keys(batch)
  const rows: number[] = []
  for (let row = 0; row < batch.rows; row++) if (writer.claim(keys, row)) rows.push(row)
  if (rows.length === 0) return
  const values = await parts.compute(batch, Int32Array.from(rows))
  if (!canStore(precision, values))
    throw new ModelError(
      'INVALID_REQUEST',
      'the model computes values that are not finite for a candidate, which int8 can not store: choose --precision float32',
    )
  await writer.append(values)
}

/** Each candidate of a batch once. */
function distinct(batch: Batch, parts: CandidateParts): Batch {
  const keys = parts.keys(batch)
  const seen = new Set<string>()
  const rows: number[] = []
  for (let row = 0; row < batch.rows; row++) {
    const key = keys.subarray(row * parts.keyWords, (row + 1) * parts.keyWords).join()
    if (seen.size < seen.add(key).size) rows.push(row)
  }
  const inputs = Object.entries(batch.inputs).map(([name, values]): [string, typeof values] => {
    const width = values.length / batch.rows
    const picked = values.slice(0, rows.length * width)
    for (const [i, row] of rows.entries()) picked.set(values.subarray(row * width, (row + 1) * width), i * width)
    return [name, picked]
  })
  return { rows: rows.length, inputs: Object.fromEntries(inputs) }
}
