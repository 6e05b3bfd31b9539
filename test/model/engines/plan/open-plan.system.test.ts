import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { Cost } from '../../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import { type OpenPlan, openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import {
  buildModel,
  distance,
  exampleModel,
  type RandomModel,
  randomModel,
  rowsOf,
  savedAnswers,
  sidesOf,
  withPlan,
} from '../../../support/compile/random-model.ts'
import {
  batchesOf,
  bytesFor,
  costsFor,
  randomCosts,
  traffic,
  type Way,
} from '../../../support/compile/random-traffic.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const folder = await temporaryFolder(t)

const rowsCounted = ({ rows }: ReturnType<OpenPlan['stats']>) => rows.full + rows.shared_context + rows.cached

t.test('answers are those of the saved graph, whatever is computed how', async (t) => {
  const ways = { full: 0, shared_context: 0, cached: 0, hits: 0, evictions: 0 }
  await fc.assert(
    fc.asyncProperty(
      randomModel,
      traffic,
      fc.constantFrom(0, 3, 16, 24, 1000),
      randomCosts,
      async (model, traffic, slots, costs) => {
        const graph = buildModel(model)
        await withPlan(model, folder, async (ready) => {
          const plan = await openPlan({ ...ready, costs }, options, bytesFor(ready, slots))
          try {
            let rows = 0
            for (const batch of batchesOf(model, traffic)) {
              const apart = distance(await savedAnswers(graph, batch), await plan.run(batch))
              if (!(apart <= 1e-5)) throw new Error(`answers are ${apart} apart`)
              rows += batch.rows
            }
            const stats = plan.stats()
            if (rowsCounted(stats) !== rows) throw new Error(`${JSON.stringify(stats)} does not add up to ${rows}`)
            for (const way of ['full', 'shared_context', 'cached'] as const) ways[way] += stats.rows[way]
            ways.hits += stats.cache.hits
            ways.evictions += stats.cache.evictions
          } finally {
            await plan.close()
          }
        })
      },
    ),
    { numRuns: randomCases(120), seed: steadySeed },
  )
  const { evictions, ...taken } = ways
  for (const [way, count] of Object.entries(taken)) t.ok(count > 0, `${way}: ${count}`)
  t.comment(`${evictions} candidates made room for others`)
})

/** Opens a plan for which one way costs nothing, so that it is taken wherever it can be. */
async function withPlanned<T>(
  model: RandomModel,
  way: Way,
  slots: number,
  use: (plan: OpenPlan, check: (batch: Batch) => Promise<void>) => Promise<T>,
  joined?: Cost['joined'],
): Promise<T> {
  const graph = buildModel(model)
  return withPlan(model, folder, async (ready) => {
    const plan = await openPlan({ ...ready, costs: costsFor(way, joined) }, options, bytesFor(ready, slots))
    try {
      return await use(plan, async (batch) => {
        const apart = distance(await savedAnswers(graph, batch), await plan.run(batch))
        if (!(apart <= 1e-5)) throw new Error(`answers are ${apart} apart`)
      })
    } finally {
      await plan.close()
    }
  })
}

/** Rows of one context; `candidates` picks each row's candidate columns from a pool of 30. */
function requestOf(model: RandomModel, candidates: number[], seed = 1): Batch {
  const pool = rowsOf(model, 30, 99)
  const batch = rowsOf(model, candidates.length, seed)
  const sides = sidesOf(model)
  for (const [name, values] of Object.entries(batch.inputs))
    candidates.forEach((candidate, row) => {
      sides[name]!.forEach((side, column, { length }) => {
        if (side === 'context') values[row * length + column] = values[column]!
        if (side === 'candidate') values[row * length + column] = pool.inputs[name]![candidate * length + column]!
      })
    })
  return batch
}

t.test('what is known, seen and new stands in any order', async (t) => {
  // The whole of an input belongs to the rows: it must not be taken as it stands.
  const model: RandomModel = {
    ...exampleModel,
    fields: [500, 9, 90],
    sides: ['candidate', 'context', 'candidate', 'cross', 'cross', 'cross'],
  }
  await withPlanned(model, 'cached', 30, async (plan, check) => {
    await check(requestOf(model, [0, 2, 5]))
    await check(requestOf(model, [0, 2, 1, 5]))
    t.equal(plan.stats().rows.cached, 3)
    await check(requestOf(model, [0, 1, 2, 5], 2))
    await check(requestOf(model, [0, 7, 2, 7, 9, 5], 3))
    await check({ ...requestOf(model, [0, 9, 2, 8, 8], 4), requests: [5] })
    t.equal(plan.stats().cache.entries, 7)
  })
})

t.test('a candidate is kept when it is asked for again, be it by the same request', async (t) => {
  const model: RandomModel = {
    ...exampleModel,
    fields: [5, 90, 12],
    sides: ['context', 'candidate', 'cross', 'context', 'candidate', 'cross'],
  }
  await withPlanned(model, 'cached', 30, async (plan, check) => {
    await check(requestOf(model, [0, 1, 2]))
    t.match(plan.stats(), { rows: { cached: 0 }, cache: { hits: 0, misses: 3, entries: 0 } })
    await check(requestOf(model, [2, 3], 2))
    t.match(plan.stats(), { rows: { cached: 1 }, cache: { hits: 0, misses: 5, entries: 1 } })
    await check(requestOf(model, [2, 4, 4, 5], 3))
    t.match(plan.stats(), { rows: { cached: 4 }, cache: { hits: 1, misses: 8, entries: 2 } })
    // Both requests miss it, and it gets one slot.
    await check({ ...requestOf(model, [6, 7, 6, 7], 4), requests: [2, 2] })
    t.match(plan.stats(), { rows: { exported: 0 }, cache: { entries: 4, evictions: 0 } })
    t.equal(rowsCounted(plan.stats()), 13)
  })
})

t.test('candidates make room for others, and answers stay right', async (t) => {
  const model: RandomModel = {
    ...exampleModel,
    fields: [5, 900, 12],
    sides: ['context', 'candidate', 'cross', 'context', 'candidate', 'cross'],
  }
  await withPlanned(model, 'cached', 16, async (plan, check) => {
    for (const first of [0, 15, 7, 0, 14, 3])
      for (let again = 0; again < 3; again++)
        await check(
          requestOf(
            model,
            Array.from({ length: 15 }, (_, i) => first + i),
            again,
          ),
        )
    const { rows, cache } = plan.stats()
    t.ok(cache.evictions > 15 && cache.entries <= 16, JSON.stringify(cache))
    t.ok(rows.cached > 100)
  })
})

t.test('the context is computed once a request, where it is one', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [90, 9, 12] }
  await withPlanned(model, 'shared_context', 0, async (plan, check) => {
    await check(requestOf(model, [0, 1, 2]))
    t.same(plan.stats().rows, { exported: 0, full: 0, shared_context: 3, cached: 0 })
    const both = together([requestOf(model, [0, 1], 2), requestOf(model, [3], 3)])
    await check(both)
    t.same(plan.stats().rows, { exported: 0, full: 0, shared_context: 6, cached: 0 })
    t.same(plan.stats().cache, { hits: 0, misses: 0, entries: 0, evictions: 0, bytes: 0 })

    // Not told apart, they are one request whose rows differ in the context.
    await check({ rows: 3, inputs: both.inputs })
    t.same(plan.stats().rows, { exported: 0, full: 3, shared_context: 6, cached: 0 })
    // Contexts are compared by their bits.
    const odd = requestOf(model, [0, 1])
    for (const row of [0, 1]) odd.inputs.dense![row * 3] = Number.NaN
    await check(odd)
    t.same(plan.stats().rows, { exported: 0, full: 3, shared_context: 8, cached: 0 })
  })
})

/** Requests in one batch. */
function together(requests: Batch[]): Batch {
  const join = (name: string) => requests.flatMap(({ inputs }) => [...inputs[name]!])
  return {
    rows: requests.reduce((sum, { rows }) => sum + rows, 0),
    requests: requests.map(({ rows }) => rows),
    inputs: { sparse: Int32Array.from(join('sparse')), dense: Float32Array.from(join('dense')) },
  }
}

t.test('requests that share a call keep their own contexts', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [90, 9, 12] }
  const contexts = [5, 6, 7, 8]
  for (const way of ['shared_context', 'cached'] as const)
    await withPlanned(
      model,
      way,
      30,
      async (plan, check) => {
        // The first candidate of the second request is new, so that its rows go two ways.
        const batches = [1, 2, 3].map((round) =>
          together(contexts.map((seed, i) => requestOf(model, i === 1 ? [10 + round, 1, 2] : [i, i + 1], seed))),
        )
        for (const batch of batches.slice(0, 2)) await check(batch)
        // One call for all that is known, its contexts first; one for what is new.
        const { prototype } = ort.InferenceSession as unknown as { prototype: InferenceSession }
        const calls = t.capture(prototype, 'run', prototype.run)
        await plan.run(batches[2]!)
        t.equal(calls().length, way === 'cached' ? 3 : 1)
        calls.restore()
        await check(batches[2]!)
        const { rows } = plan.stats()
        t.ok(rows[way] > batches[0]!.rows, JSON.stringify(rows))
      },
      { a: 1, b: 0 },
    )
})

t.test('more rows than are added at once are added in parts', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [90, 9, 12] }
  const candidates = Array.from({ length: 5000 }, (_, i) => i % 30)
  await withPlanned(
    model,
    'cached',
    30,
    async (plan, check) => {
      for (let i = 0; i < 3; i++) await check(requestOf(model, candidates, i))
      const batch = together([requestOf(model, [1, 2], 4), requestOf(model, candidates, 5), requestOf(model, [3], 6)])
      await check(batch)
      t.ok(plan.stats().rows.cached >= 5000 + batch.rows, JSON.stringify(plan.stats().rows))
    },
    { a: 1, b: 0 },
  )
})

t.test('a field of the context that each candidate has its own of is computed for each', async (t) => {
  await withPlanned(exampleModel, 'cached', 30, async (plan, check) => {
    const batch = requestOf(exampleModel, [0, 1, 0, 1])
    batch.inputs.dense![3 * 3]! += 1
    for (let i = 0; i < 3; i++) await check(batch)
    t.match(plan.stats(), { rows: { full: 12, shared_context: 0, cached: 0 }, cache: { entries: 0 } })
    // Another request of the same batch is none the worse.
    const both = requestOf(exampleModel, [0, 1, 0, 1, 2, 2])
    both.inputs.dense![1 * 3]! += 1
    await check({ ...both, requests: [4, 2] })
    t.match(plan.stats(), { rows: { full: 16, cached: 2 }, cache: { entries: 1 } })
  })
})

t.test('after a call that failed the cache holds nothing wrong', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [5, 90, 12] }
  await withPlanned(model, 'cached', 30, async (plan, check) => {
    const good = requestOf(model, [0, 1, 2])
    await check(good)
    const bad = requestOf(model, [0, 1, 3])
    bad.inputs.sparse![2 * 3 + 1] = 1000
    // Twice, so that the bad candidate is one that is asked for again.
    for (let i = 0; i < 3; i++) {
      await t.rejects(plan.run(bad), /1000|out of|range|idx/)
      await check(good)
    }
    await check(requestOf(model, [3, 0, 1, 2]))
    await check(requestOf(model, [3, 0, 1, 2]))
    t.equal(plan.stats().cache.entries, 4)

    // Bad in what belongs to the row alone: its candidate was computed, and is right.
    const row = requestOf(model, [5, 6])
    const wrong = requestOf(model, [5, 6])
    wrong.inputs.sparse![2] = 1000
    for (let i = 0; i < 3; i++) await t.rejects(plan.run(wrong), /1000|out of|range|idx/)
    await check(row)
    t.equal(plan.stats().cache.entries, 6)
  })
})

t.test('a number is the same candidate in whatever type it is given, and no other', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [], dense: 2, sides: ['candidate', 'cross'] }
  await withPlanned(model, 'cached', 30, async (plan, check) => {
    // As an integer, the bits of 1.
    const bits = 0x3f800000
    for (let i = 0; i < 3; i++) await check({ rows: 1, inputs: { dense: Float32Array.of(1, 2) } })
    await check({ rows: 1, inputs: { dense: Int32Array.of(1, 2) } })
    t.match(plan.stats(), { rows: { cached: 3 }, cache: { entries: 1 } })
    for (let i = 0; i < 2; i++) await check({ rows: 1, inputs: { dense: Int32Array.of(bits, 2) } })
    t.equal(plan.stats().cache.entries, 2)
  })
})

t.test('ids at both ends of the table, of every type', async (t) => {
  for (const ids of ['int32', 'int64', 'float32'] as const) {
    const model: RandomModel = { ...exampleModel, ids }
    const last = [4, 13, 25]
    const sparse = [...last, 0, 5, 14, 4, 5, 25]
    const inputs = {
      sparse: ids === 'float32' ? Float32Array.from(sparse) : Int32Array.from(sparse),
      dense: new Float32Array(9),
    }
    for (const way of ['full', 'shared_context', 'cached'] as const)
      await withPlanned(model, way, 30, async (plan, check) => {
        for (let i = 0; i < 3; i++) await check({ rows: 3, requests: [1, 1, 1], inputs })
        t.ok(plan.stats().rows[way] > 0, `${ids}, ${way}`)
      })
  }
})

t.test('without room for a few candidates nothing is kept', async (t) => {
  for (const slots of [0, 3, 15])
    await withPlanned(exampleModel, 'cached', slots, async (plan, check) => {
      for (let i = 0; i < 3; i++) await check(requestOf(exampleModel, [0, 0]))
      t.match(plan.stats(), { rows: { cached: 0 }, cache: { entries: 0, bytes: 0 } })
    })
})

t.test('says what there is no memory for', async (t) => {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { Memory: unknown } }
  function Memory() {
    throw new RangeError('could not allocate memory')
  }
  t.intercept(WebAssembly, 'Memory', { value: Memory })
  await withPlan(exampleModel, folder, async (plan) => {
    await t.rejects(openPlan(plan, options, 1 << 20), {
      code: 'MODEL_FAILED',
      message:
        'there is no memory for the candidate cache (MULTIGATE_CANDIDATE_CACHE_BYTES=0 turns it off): could not allocate memory',
    })
    await (await openPlan(plan, options, 0)).close()
  })
})

t.test('candidates are looked up where that has paid lately', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [5, 900, 12] }
  await withPlan(model, folder, async (ready) => {
    const costs = { ...costsFor('cached'), lookUp: 1 }
    const plan = await openPlan({ ...ready, costs }, options, bytesFor(ready, 16))
    const lookUps = () => plan.stats().cache.hits + plan.stats().cache.misses
    const ask = async (first: number, times: number) => {
      const before = lookUps()
      for (let i = 0; i < times; i++) await plan.run(rowsOf(model, 1, first + i))
      return lookUps() - before
    }
    t.equal(await ask(0, 10), 10, 'at first')
    await ask(1000, 400)
    t.equal(await ask(2000, 80), 10, 'now and then, while nothing comes back')
    for (let i = 0; i < 800; i++) await plan.run(requestOf(model, [3, 4, 5]))
    t.equal(await ask(5000, 1), 1, 'again, since something has')
    await plan.close()
  })
})

t.test('costs that are not given are measured', async (t) => {
  const graph = buildModel(exampleModel)
  const batch = requestOf(exampleModel, [0, 1, 2, 0])
  const expected = await savedAnswers(graph, batch)
  await withPlan(exampleModel, folder, async (ready) => {
    for (const slots of [0, 3, 30]) {
      const plan = await openPlan(ready, options, bytesFor(ready, slots))
      t.match(plan.stats(), { rows: { full: 0, shared_context: 0, cached: 0 }, cache: { entries: 0 } })
      for (let i = 0; i < 3; i++) t.ok(distance(await plan.run(batch), expected) <= 1e-5)
      t.equal(rowsCounted(plan.stats()), 12)
      await plan.close()
    }
  })
})

t.test('names the file that it can not open', async (t) => {
  await withPlan(exampleModel, folder, async (plan) => {
    await rm(join(plan.folder, 'float32-candidate-encoder.onnx'))
    await t.rejects(openPlan(plan, options, 1 << 20), {
      code: 'MODEL_FAILED',
      message: /^the compiled plan's float32-candidate-encoder\.onnx can't be opened: /,
    })
    // It isn't needed where nothing is kept.
    await (await openPlan(plan, options, 0)).close()
  })
})
