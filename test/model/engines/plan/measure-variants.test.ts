import t from 'tap'
import { measureVariants, zeros } from '../../../../src/model/engines/plan/measure-variants.ts'
import { callsOf } from '../../../../src/model/engines/plan/plan-cost.ts'
import type { TimedVariant } from '../../../../src/model/engines/plan/variant.ts'

t.test('timed calls read slots here and there, and others from call to call', async (t) => {
  const calls: number[][] = []
  const variant: TimedVariant = {
    context: [],
    rows: [{ input: 'sparse', width: 1, type: 'int32' }],
    lists: [],
    byRequest: false,
    oneRequest: false,
    mostRows: 1000,
    timedSlots: 512,
    cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
    run: async (_, requests) => calls.push(requests.flatMap(({ slots }) => [...slots!])),
  }
  await measureVariants([variant], (work) => work())
  const wide = calls.filter(({ length }) => length === 128)
  t.ok(wide.length > 1)
  for (const slots of wide) {
    t.ok(slots.every((slot) => slot >= 0 && slot < 512))
    t.ok(new Set(slots).size > 64)
  }
  t.not(wide[0]!.join(), wide[1]!.join())
  t.ok(new Set(wide.flat()).size > 400)
  t.ok(variant.cost.a >= 0 && variant.cost.b >= 0)
})

const list = { input: 'sparse', columns: [1, 2, 3], padding: 0 }
const listed: TimedVariant = {
  context: [{ input: 'sparse', width: 5, type: 'int32' }],
  rows: [{ input: 'dense', width: 1, type: 'float32' }],
  lists: [{ name: 'length', size: 3, each: 'requests', members: [list] }],
  byRequest: true,
  oneRequest: false,
  mostRows: 1000,
  cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
  run: async () => undefined,
}

t.test('timed lists are whole, or have one value', async (t) => {
  t.same(zeros(listed, 2).inputs.sparse, Int32Array.of(0, 1, 1, 1, 0, 0, 1, 1, 1, 0))
  t.same(zeros(listed, 1, 'short').inputs.sparse, Int32Array.of(0, 1, 0, 0, 0))
  const other = { ...listed, lists: [{ ...listed.lists[0]!, members: [{ ...list, padding: 7 }] }] }
  t.same(zeros(other, 1, 'short').inputs.sparse, Int32Array.of(0, 0, 7, 7, 0))
})

t.test('variants that cut lists cost less where these are short', async (t) => {
  const lengths: number[] = []
  const variant: TimedVariant = {
    ...listed,
    run: async ({ inputs }) => lengths.push(inputs.sparse!.slice(1, 4).filter((id) => id !== 0).length),
  }
  const plain: TimedVariant = { ...variant, lists: [], run: async () => undefined }
  await measureVariants([plain, variant], (work) => work())
  t.same([...new Set(lengths)], [3, 1])
  t.ok(variant.cost.short!.a >= 0)
  t.equal(plain.cost.short, undefined)
})

t.test('a variant of one request per call is called so, and others gain nothing by joining it', async (t) => {
  const calls: number[] = []
  const run: TimedVariant['run'] = async (_, requests) => calls.push(requests.length)
  const variant: TimedVariant = { ...listed, oneRequest: true, run }
  await measureVariants([variant], (work) => work())
  t.same(new Set(calls), new Set([1]))
  const { a, b, joined } = variant.cost
  t.same(joined, { a, b })
  const requests = [1, 2, 40].map((rows) => ({ rows: new Int32Array(rows) }))
  t.equal(callsOf(variant, requests).length, 3)
})
