import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { CompiledPlan, PlanCosts } from '../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../src/model/contracts/engine.ts'
import { openPlan } from '../../../src/model/engines/plan/open-plan.ts'
import { prepare } from '../../../src/model/graph/compile/prepare.ts'
import { buildModel, quantizationOf, type RandomModel, requestFor, rowsOf, sidesOf } from './random-model.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const

/** The model's plan in int8, whether or not it passes its check. */
export async function withInt8<T>(
  model: RandomModel,
  folder: string,
  use: (plan: CompiledPlan) => Promise<T>,
  rows = 60,
): Promise<T> {
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

type Way = 'full' | 'shared_context' | 'cached'

/**
 * Answers for some batches, computed in one way wherever that can be: all requests of a batch in one call, or each by
 * itself.
 */
export async function answersBy(
  way: Way,
  plan: CompiledPlan,
  batches: Batch[],
  joined = true,
): Promise<Float32Array[]> {
  const cost = (name: string) => {
    const alone = name === way ? { a: 0, b: 1 } : { a: 10, b: 10 }
    return { ...alone, joined: joined ? { a: alone.a, b: 0 } : alone }
  }
  const costs: PlanCosts = {
    full: cost('full'),
    shared_context: cost('shared_context'),
    cached: cost('cached'),
    candidate_encoder: { a: 0, b: 0 },
  }
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
export function requestsOf(model: RandomModel, count: number, seed: number): Batch[] {
  return Array.from({ length: count }, (_, i) => {
    const batch = rowsOf(model, 1 + ((i * 7) % 11), seed + i)
    const { dense } = batch.inputs
    if (dense && i % 2 === 1) for (let j = 0; j < dense.length; j += 3) dense[j]! *= 10
    return oneContext(model, batch)
  })
}

export function oneContext(model: RandomModel, batch: Batch): Batch {
  const sides = sidesOf(model)
  for (const [name, values] of Object.entries(batch.inputs))
    sides[name]!.forEach((side, column, { length }) => {
      if (side === 'context') for (let at = column; at < values.length; at += length) values[at] = values[column]!
    })
  return batch
}

export function joined(batches: Batch[]): Batch {
  const inputs: Batch['inputs'] = {}
  for (const [name, values] of Object.entries(batches[0]!.inputs)) {
    const all = batches.flatMap(({ inputs }) => [...inputs[name]!])
    inputs[name] = values instanceof Float32Array ? Float32Array.from(all) : Int32Array.from(all)
  }
  const requests = batches.map(({ rows }) => rows)
  return { rows: requests.reduce((sum, rows) => sum + rows, 0), requests, inputs }
}

export function flat(arrays: Float32Array[]): Float32Array {
  return Float32Array.from(arrays.flatMap((values) => [...values]))
}

export function rowByRow({ rows, inputs }: Batch): Batch[] {
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

/** Answers for requests, computed in each way: by name, all in the same order. */
export async function answersInAllWays(
  plan: CompiledPlan,
  requests: Batch[],
): Promise<{ expected: Float32Array; others: Record<string, Float32Array> }> {
  const expected = flat(await answersBy('full', plan, requests))
  const batch = joined(requests)
  const single = requests.flatMap(rowByRow)
  const others = {
    'all requests at once': flat(await answersBy('full', plan, [batch])),
    'row by row': flat(await answersBy('full', plan, single)),
    'by side': flat(await answersBy('shared_context', plan, [batch])),
    'by side, each alone': flat(await answersBy('shared_context', plan, [batch], false)),
    'row by row, by side': flat(await answersBy('shared_context', plan, single)),
    cached: (await answersBy('cached', plan, [batch, batch, batch]))[2]!,
    'known, each alone': (await answersBy('cached', plan, [batch, batch, batch], false))[2]!,
    'row by row, known': flat(
      (await answersBy('cached', plan, [...single, ...single, ...single])).slice(-single.length),
    ),
  }
  return { expected, others }
}
