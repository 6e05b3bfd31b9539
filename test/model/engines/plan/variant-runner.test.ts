import t from 'tap'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import { createPacker } from '../../../../src/model/engines/plan/packing.ts'
import type { FullCost, Variant } from '../../../../src/model/engines/plan/variant.ts'
import { VariantRunner } from '../../../../src/model/engines/plan/variant-runner.ts'

const size = 5
const lists: Variant['lists'] = [
  { name: 'length', size, each: 'requests', members: [{ input: 'ids', columns: [0, 1, 2, 3, 4], padding: 0 }] },
]

const cost = (a: number, b: number, short: { a: number; b: number }): FullCost => ({
  a,
  b,
  joined: { a, b },
  short: { ...short, joined: short },
})

/** For 10 rows, a shared context costs 70 µs instead of 100 with whole lists, and 30 instead of 10 with short ones. */
const variantOf = (name: string, cost: FullCost): Variant => ({
  context: name === 'full' ? [] : [createPacker({ name: 'ids', input: 'ids', columns: [0, 1, 2, 3, 4] }, 'int32', 2)],
  rows: [],
  lists,
  byRequest: name !== 'full',
  oneRequest: false,
  mostRows: 1000,
  cost,
  run: async ({ rows }) => ({ p: { data: new Float32Array(rows) } }),
})

const batchOf = (length: number): Batch => {
  const rows = 10
  const ids = new Int32Array(rows * size)
  for (let row = 0; row < rows; row++) ids.fill(1, row * size, row * size + length)
  return { rows, inputs: { ids } }
}

t.test('the cheapest variant follows from the lengths of lists that are asked for', async (t) => {
  const full = variantOf('full', cost(10, 0, { a: 1, b: 0 }))
  const sharedContext = variantOf('shared', cost(5, 20, { a: 1, b: 20 }))
  const runner = new VariantRunner({ full, sharedContext, candidates: undefined }, 'p', 0)
  const taken = async (length: number, calls: number) => {
    runner.recount()
    for (let call = 0; call < calls; call++) await runner.run(batchOf(length))
    const { rows } = runner.stats()
    return [rows.full / 10, rows.shared_context / 10]
  }
  t.same(await taken(size, 20), [0, 20])
  const [ofFull, ofShared] = await taken(0, 200)
  t.ok(ofFull! > 100 && ofShared! > 0, `${ofFull} ${ofShared}`)
  t.same(await taken(1, 20), [20, 0])
  const [, back] = await taken(size, 300)
  t.ok(back! > 100, `${back}`)
})
