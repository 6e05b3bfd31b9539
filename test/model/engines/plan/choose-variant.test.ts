import t from 'tap'
import {
  chooseCached,
  divide,
  LookUpPolicy,
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
