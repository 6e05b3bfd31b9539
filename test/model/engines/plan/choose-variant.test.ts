import t from 'tap'
import type { CompiledPlan, PlanDescription } from '../../../../src/model/contracts/compiled-plan.ts'
import {
  chooseCached,
  divide,
  isCheaper,
  LookUpPolicy,
  mayServeSaved,
  mostSaved,
  takesSaved,
  usefulVariants,
  type VariantCosts,
} from '../../../../src/model/engines/plan/choose-variant.ts'

/** `a` µs per row and `b` per call; a request that joins a call pays `joined` instead of `b`. */
const cost = (a: number, b: number, joined = b) => ({ a, b, joined: { a, b: joined } })

const costs = (overrides: Partial<VariantCosts>): VariantCosts => ({
  full: cost(10, 100, 0),
  shared_context: undefined,
  cached: undefined,
  lookUp: 0,
  ...overrides,
})

t.test('a variant that is never cheaper is not used', async (t) => {
  const table: [title: string, costs: Partial<VariantCosts>, shared: boolean, cached: boolean][] = [
    ['there is only the full graph', {}, false, false],
    ['cheaper rows pay for a dearer call', { shared_context: cost(5, 300) }, true, false],
    ['dearer rows and calls never pay', { shared_context: cost(11, 101) }, false, false],
    ['cached rows are cheaper', { cached: cost(1, 100) }, false, true],
    ['a look-up costs more than it saves', { cached: cost(1, 100), lookUp: 9 }, false, false],
    ['cached rows are dearer than shared ones', { shared_context: cost(1, 100), cached: cost(2, 100) }, true, false],
  ]
  for (const [title, given, shared, cached] of table) {
    const useful = usefulVariants(costs(given))
    t.same([useful.shared_context !== undefined, useful.cached !== undefined], [shared, cached], title)
  }
})

/** A plan as far as it decides whether the saved graph may stand in. */
function planOf(
  description: Partial<PlanDescription> = {},
  precision: CompiledPlan['precision'] = 'float32',
): Pick<CompiledPlan, 'description' | 'precision'> {
  const float32 = { tables: [] as string[] }
  return { precision, description: { passes: [{ bytes: 1000 }], float32, ...description } as PlanDescription }
}

t.test('the graph as saved takes the place of the full one where it is clearly cheaper', async (t) => {
  const table: [title: string, full: [number, number], saved: [number, number] | undefined, takes: boolean][] = [
    ['it was not measured', [10, 100], undefined, false],
    ['it is dearer', [10, 100], [11, 110], false],
    ['it costs the same', [10, 100], [10, 100], false],
    ['it is 4 % cheaper: noise', [10, 100], [9.6, 96], false],
    ['it is 6 % cheaper', [10, 100], [9.4, 94], true],
    ['cheap calls do not make up for dear rows', [10, 100], [12, 80], false],
    ['cheap rows make up for a dear call', [10, 100], [5, 110], true],
  ]
  for (const [title, full, saved, takes] of table) {
    const costs = { full: cost(...full), ...(saved && { saved: cost(...saved) }) }
    t.equal(takesSaved(planOf(), costs), takes, title)
  }
  t.ok(isCheaper(cost(9.6, 96), cost(10, 100)), 'without a margin 4 % count')
  t.notOk(isCheaper(cost(7, 800), cost(10, 100)), 'a dear call does not pay where most requests are small')
  t.ok(isCheaper(cost(7, 800), cost(10, 100), { beside: cost(12, 10) }), 'it does where they go elsewhere')
})

t.test('the graph as saved stands in only for a plan with the same numbers and no shared tables', async (t) => {
  const cheap = { full: cost(10, 100), saved: cost(1, 1) }
  const table: [title: string, plan: ReturnType<typeof planOf>, may: boolean][] = [
    ['float32', planOf(), true],
    ['int8', planOf({}, 'int8'), false],
    ['bfloat16', planOf({}, 'bfloat16'), false],
    ['live tables', planOf({ live: { tables: [] } }), false],
    [
      'tables in files',
      planOf({ float32: { tables: ['table-0.bin'] } as unknown as PlanDescription['float32'] }),
      false,
    ],
    ['large weights', planOf({ passes: [{ bytes: mostSaved + 1 }] as unknown as PlanDescription['passes'] }), false],
  ]
  for (const [title, plan, may] of table) t.same([mayServeSaved(plan), takesSaved(plan, cheap)], [may, may], title)
})

t.test('requests are divided between the full and the shared-context variant', async (t) => {
  const shared = costs({ shared_context: cost(5, 200, 50) })
  const table: [title: string, costs: VariantCosts, requests: number[], loose: number, viaShared: boolean[]][] = [
    ['no shared-context variant', costs({}), [1, 100], 0, [false, false]],
    ['few rows are cheaper in full', shared, [1], 0, [false]],
    ['many rows are cheaper with a shared context', shared, [100], 0, [true]],
    ['a small request joins the call that is made anyway', shared, [100, 100, 1], 0, [true, true, true]],
    ['it goes through the full graph where that is called anyway', shared, [100, 1], 50, [true, false]],
  ]
  for (const [title, costs, requests, loose, viaShared] of table)
    t.same(divide(costs, requests, loose).viaShared, viaShared, title)
  t.equal(divide(shared, [100]).cost, 5 * 100 + 200)
  t.equal(divide(costs({}), [3, 4], 5).cost, 10 * 12 + 100, 'one call of the full graph takes all rows')
})

t.test('cached rows use the cached variant where the batch gains from it', async (t) => {
  const given = costs({ cached: cost(1, 100, 0) })
  const table: [title: string, requests: [count: number, cached: number][], chosen: boolean[]][] = [
    ['none is cached', [[100, 0]], [false]],
    ['all are cached', [[100, 100]], [true]],
    ['one cached row does not pay for a call', [[100, 1]], [false]],
    [
      'a request that shares the call gains from few',
      [
        [100, 100],
        [100, 20],
      ],
      [true, true],
    ],
  ]
  for (const [title, requests, chosen] of table)
    t.same(
      chooseCached(
        given,
        requests.map(([count, cached]) => ({ count, cached })),
      ),
      chosen,
      title,
    )
  t.same(chooseCached(costs({}), [{ count: 1, cached: 1 }]), [false], 'there is no cached variant')
})

t.test('look-ups stop while they do not pay, and are tried again', async (t) => {
  const given = costs({ cached: cost(1, 100), lookUp: 3 })
  const uncached = divide(given, [100]).cost
  const policy = new LookUpPolicy(given, 100)
  t.ok(policy.wants([100], uncached), 'the first batch is looked up')
  t.ok(policy.wants([100], uncached), 'and later ones, as long as candidates may be cached')
  for (let i = 0; i < 20; i++) policy.record([{ count: 100, cached: 0 }])
  const wanted = Array.from({ length: 16 }, () => policy.wants([100], uncached))
  t.equal(wanted.filter(Boolean).length, 2, 'one batch in eight is tried')
  for (let i = 0; i < 20; i++) policy.record([{ count: 100, cached: 100 }])
  t.ok(
    Array.from({ length: 8 }, () => policy.wants([100], uncached)).every(Boolean),
    'every batch, once candidates are cached',
  )
  t.notOk(policy.wants([1], 103), 'a batch that can gain less than its look-up is not')
  t.notOk(new LookUpPolicy(costs({}), 0).wants([100], uncached), 'nor any without a cached variant')
})
