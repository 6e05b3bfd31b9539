import type { CompiledPlan, Cost, PlanCosts } from '../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../src/model/contracts/engine.ts'
import { bytesOfSlot } from '../../../src/model/engines/plan/row-memory.ts'
import { fc } from '../cases.ts'
import { Dice } from './dice.ts'
import { type RandomModel, rowsOf, sidesOf } from './random-model.ts'

export type Way = 'full' | 'shared_context' | 'cached'

/** Costs for which one of the ways is taken wherever it can be. */
export function costsFor(way: Way, joined?: Cost['joined']): PlanCosts {
  const cost = (name: Way) => ({ a: name === way ? 1 : 10, b: name === way ? 1 : 10, ...(joined && { joined }) })
  return {
    full: cost('full'),
    shared_context: cost('shared_context'),
    cached: cost('cached'),
    candidate_encoder: { a: 0, b: 0 },
  }
}

/** The cost of each way, by chance. */
export const randomCosts: fc.Arbitrary<PlanCosts> = fc.record({
  full: randomCost(),
  shared_context: randomCost(),
  // Often the cheapest, so that candidates are kept, and driven out.
  cached: fc.oneof({ weight: 2, arbitrary: fc.constant({ a: 0, b: 1, joined: { a: 0, b: 0 } }) }, randomCost()),
  candidate_encoder: randomCost(),
})

function randomCost() {
  const some = { a: fc.constantFrom(0, 1, 2, 3), b: fc.constantFrom(0, 5, 20, 100) }
  return fc.record({ ...some, joined: fc.record(some) })
}

export interface Traffic {
  seed: number
  /** Rows of each request of each batch. */
  batches: number[][]
  /** Whether the batch says where requests begin. */
  bounded: boolean
  /** Candidates that there are: few make duplicates. */
  candidates: number
  contexts: number
  /** Values that numeric fields have now and then. */
  odd: number[]
}

export const traffic: fc.Arbitrary<Traffic> = fc.record({
  seed: fc.nat(),
  batches: fc.array(fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 8,
    size: 'max',
  }),
  bounded: fc.boolean(),
  candidates: fc.constantFrom(1, 3, 20, 40, 200),
  contexts: fc.constantFrom(1, 3),
  odd: fc.constantFrom([], [Number.NaN], [-0, 0], [1e30, -1e30], [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
})

/** The batches of some traffic: each request has one context, or rarely rows that differ in it. */
export function batchesOf(model: RandomModel, { seed, batches, bounded, candidates, contexts, odd }: Traffic): Batch[] {
  const dice = new Dice(seed)
  const pool = rowsOf(model, candidates, seed)
  const users = rowsOf(model, contexts, seed + 1)
  for (const { inputs } of [pool, users])
    if (inputs.dense && odd.length > 0)
      for (let i = 0; i < inputs.dense.length; i++) if (dice.chance(0.1)) inputs.dense[i] = dice.pick(odd)
  const sides = sidesOf(model)
  return batches.map((requests) => {
    const rows = requests.reduce((sum, count) => sum + count, 0)
    const batch = rowsOf(model, rows, seed + 2 + dice.below(1000))
    let row = 0
    for (const count of requests) {
      const mixed = dice.chance(0.15)
      let user = dice.below(contexts)
      for (let i = 0; i < count; i++, row++) {
        if (mixed) user = dice.below(contexts)
        const candidate = dice.below(candidates)
        for (const [name, values] of Object.entries(batch.inputs))
          sides[name]!.forEach((side, column) => {
            const width = sides[name]!.length
            if (side === 'context') values[row * width + column] = users.inputs[name]![user * width + column]!
            if (side === 'candidate') values[row * width + column] = pool.inputs[name]![candidate * width + column]!
          })
      }
    }
    return { rows, inputs: batch.inputs, ...(bounded ? { requests } : {}) }
  })
}

/** Memory for this number of candidates: their values, their keys, and the tables that find them. */
export function bytesFor(plan: CompiledPlan, slots: number): number {
  const { layers, cached, candidate_encoder } = plan.description.float32
  if (cached === undefined || candidate_encoder === undefined || slots === 0) return slots * 500
  const words = candidate_encoder.rows.reduce((sum, { columns }) => sum + columns.length, bytesOfSlot(layers, []) / 4)
  return slots * (4 * words + 13) + 2 ** Math.ceil(Math.log2(slots * 2)) * 16
}
