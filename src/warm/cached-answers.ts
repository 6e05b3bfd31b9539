import { concat } from '../model/base/concat.ts'
import { logit } from '../model/compile/int8/judge.ts'
import type { InputRows } from '../model/compile/int8/observe-ranges.ts'
import type { RowPrecision } from '../model/contracts/catalogue.ts'
import { type CompiledPlan, filesOf } from '../model/contracts/compiled-plan.ts'
import { sessionOptions } from '../model/engines/onnx/onnx.ts'
import { createCachedVariant } from '../model/plan/cached-variant.ts'
import { keptWidths } from '../model/plan/catalogue/read-catalogue.ts'
import { canStore, createRowReader, writeRows } from '../model/plan/catalogue/row-format.ts'
import { openVariant } from '../model/plan/open-variant.ts'
import { createRowMemory } from '../model/plan/row-memory.ts'
import { openCandidateParts } from './candidate-parts.ts'

/** Rows per call. */
const chunk = 128

/** Answers as those of a server that has the rows' candidates from a catalogue. */
export interface CachedAnswers {
  /** Logits [rows, tasks] with parts stored in a precision; undefined where it can't hold one of the values. */
  logits(rows: InputRows, precision: RowPrecision): Promise<Float32Array | undefined>
  close(): Promise<void>
}

/** Opens the graphs of a plan that compute rows of cached candidates. Rejects with MODEL_FAILED if one can't be opened. */
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
        const { [plan.description.output]: output } = await variant.run(batch, requests)
        answers.push((output!.data as Float32Array).map(logit))
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
