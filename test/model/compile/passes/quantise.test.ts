import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { PlanCosts, ReadyPlan } from '../../../../src/model/compile/plan.ts'
import { prepare } from '../../../../src/model/compile/prepare.ts'
import type { Batch } from '../../../../src/model/engines/engine.ts'
import { openPlan } from '../../../../src/model/engines/planned.ts'
import { temporaryFolder } from '../../../fixtures/bundle.ts'
import {
  buildModel,
  distance,
  exampleModel,
  quantizationOf,
  type RandomModel,
  randomModel,
  requestFor,
  rowsOf,
  sidesOf,
} from '../random-model.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const folder = await temporaryFolder(t)

/** The model's plan in int8, whether or not it passes its check. */
async function withInt8<T>(model: RandomModel, use: (plan: ReadyPlan) => Promise<T>, rows = 60): Promise<T> {
  const quantization = await quantizationOf(model, buildModel(model), rows)
  const { plan, problem } = await prepare(await requestFor(model, folder, { precision: 'int8', quantization }))
  if (plan === undefined) throw new Error(problem)
  try {
    if (plan.description.int8 === undefined) throw new Error(plan.description.int8Problem)
    return await use({ ...plan, precision: 'int8' })
  } finally {
    await rm(dirname(plan.folder), { recursive: true })
  }
}

type Way = 'whole' | 'fresh' | 'known'

/** Answers for some batches, computed in one way wherever that can be. */
async function answersBy(way: Way, plan: ReadyPlan, batches: Batch[]): Promise<Float32Array[]> {
  const cost = (name: string) => ({ a: name === way ? 0 : 10, b: name === way ? 0 : 10 })
  const costs: PlanCosts = { whole: cost('whole'), fresh: cost('fresh'), known: cost('known'), parts: { a: 0, b: 0 } }
  const planned = await openPlan({ ...plan, costs }, options, 64 << 20)
  try {
    const answers: Float32Array[] = []
    for (const batch of batches) answers.push(await planned.run(batch))
    return answers
  } finally {
    await planned.close()
  }
}

/** Rows of one context each; numbers lie far outside of what scales were set by, now and then. */
function requestsOf(model: RandomModel, count: number, seed: number): Batch[] {
  return Array.from({ length: count }, (_, i) => {
    const batch = rowsOf(model, 1 + ((i * 7) % 11), seed + i)
    const { dense } = batch.inputs
    if (dense && i % 2 === 1) for (let j = 0; j < dense.length; j += 3) dense[j]! *= 10
    return oneContext(model, batch)
  })
}

function oneContext(model: RandomModel, batch: Batch): Batch {
  const sides = sidesOf(model)
  for (const [name, values] of Object.entries(batch.inputs))
    sides[name]!.forEach((side, column, { length }) => {
      if (side === 'context') for (let at = column; at < values.length; at += length) values[at] = values[column]!
    })
  return batch
}

function joined(batches: Batch[]): Batch {
  const inputs: Batch['inputs'] = {}
  for (const [name, values] of Object.entries(batches[0]!.inputs)) {
    const all = batches.flatMap(({ inputs }) => [...inputs[name]!])
    inputs[name] = values instanceof Float32Array ? Float32Array.from(all) : Int32Array.from(all)
  }
  const requests = batches.map(({ rows }) => rows)
  return { rows: requests.reduce((sum, rows) => sum + rows, 0), requests, inputs }
}

function flat(arrays: Float32Array[]): Float32Array {
  return Float32Array.from(arrays.flatMap((values) => [...values]))
}

t.test('an answer depends neither on how it is computed nor on its batch-mates', async () => {
  await fc.assert(
    fc.asyncProperty(randomModel, fc.nat(), async (model, seed) => {
      const requests = requestsOf(model, 4, seed)
      await withInt8(model, async (plan) => {
        const expected = flat(await answersBy('whole', plan, requests))
        const batch = joined(requests)
        const single = requests.flatMap(rowByRow)
        const others = {
          'all requests at once': flat(await answersBy('whole', plan, [batch])),
          'row by row': flat(await answersBy('whole', plan, single)),
          'by side': flat(await answersBy('fresh', plan, [batch])),
          'row by row, by side': flat(await answersBy('fresh', plan, single)),
          known: (await answersBy('known', plan, [batch, batch, batch]))[2]!,
          'row by row, known': flat(
            (await answersBy('known', plan, [...single, ...single, ...single])).slice(-single.length),
          ),
        }
        for (const [how, answers] of Object.entries(others)) {
          const apart = distance(expected, answers)
          if (!(apart <= 1e-6)) throw new Error(`${how}: ${apart} apart`)
        }
      })
    }),
    { numRuns: 15 },
  )
})

t.test('a known candidate leads to the same bytes, however many there are', async (t) => {
  // Of so many hidden units some lie where the last bit of a sum decides between two bytes.
  const model: RandomModel = { ...exampleModel, experts: 4, width: 256, dim: 8 }
  await withInt8(model, async (plan) => {
    const requests = Array.from({ length: 4 }, (_, i) => oneContext(model, rowsOf(model, 800, i)))
    const expected = flat(await answersBy('whole', plan, requests))
    const known = (await answersBy('known', plan, [...requests, ...requests, ...requests])).slice(-requests.length)
    const apart = distance(expected, flat(known))
    t.ok(apart <= 1e-6, `${apart} apart`)
  })
})

function rowByRow({ rows, inputs }: Batch): Batch[] {
  return Array.from({ length: rows }, (_, row) => ({
    rows: 1,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, values]) => {
        const width = values.length / rows
        return [name, values.slice(row * width, (row + 1) * width)]
      }),
    ),
  }))
}
