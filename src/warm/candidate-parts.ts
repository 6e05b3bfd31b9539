import { planNames } from '../model/compile/sides/tensor-names.ts'
import { filesOf } from '../model/contracts/compiled-plan.ts'
import type { Batch } from '../model/contracts/engine.ts'
import { sessionOptions } from '../model/engines/onnx/onnx.ts'
import { keyWordsOf, writeKeys } from '../model/plan/candidates.ts'
import type { CataloguePlan } from '../model/plan/catalogue/read-catalogue.ts'
import { openVariant } from '../model/plan/open-variant.ts'

/** Computes what a plan keeps of candidates, as a worker would. */
export interface CandidateParts {
  /** int32 words of a candidate's key. */
  keyWords: number
  /** The keys [batch.rows, keyWords] of a batch's candidates. */
  keys(batch: Batch): Int32Array
  /** Of these rows of a batch, the parts of all kept layers, one after the other: [rows, width]. */
  compute(batch: Batch, rows: Int32Array): Promise<Float32Array>
  close(): Promise<void>
}

/** Opens the candidate encoder of a plan that has one. Rejects with MODEL_FAILED if its file can't be opened. */
export async function openCandidateParts(plan: CataloguePlan): Promise<CandidateParts> {
  const { candidate_encoder, layers } = filesOf(plan)
  const encoder = await openVariant(plan.folder, candidate_encoder!, sessionOptions(1))
  const keyWords = keyWordsOf(encoder)
  const kept = layers.flatMap(({ kept, width }, layer) => (kept ? [{ name: planNames.part(layer), width }] : []))
  const total = kept.reduce((sum, { width }) => sum + width, 0)
  return {
    keyWords,
    keys(batch) {
      const keys = new Int32Array(batch.rows * keyWords)
      writeKeys(encoder.rows, batch, keys, keyWords)
      return keys
    },
    async compute(batch, rows) {
      const results = await encoder.run(batch, [{ rows }])
      const values = new Float32Array(rows.length * total)
      let column = 0
      for (const { name, width } of kept) {
        const part = results[name]!.data as Float32Array
        for (let row = 0; row < rows.length; row++)
          values.set(part.subarray(row * width, (row + 1) * width), row * total + column)
        column += width
      }
      return values
    },
    close: () => encoder.session.release(),
  }
}
