import t from 'tap'
import { measureVariants } from '../../../../src/model/engines/plan/measure-variants.ts'
import type { TimedVariant } from '../../../../src/model/engines/plan/variant.ts'

t.test('timed calls read slots here and there, and others from call to call', async (t) => {
  const calls: number[][] = []
  const variant: TimedVariant = {
    context: [],
    rows: [{ input: 'sparse', width: 1, type: 'int32' }],
    lists: [],
    byRequest: false,
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
