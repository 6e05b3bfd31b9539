import t from 'tap'
import { createVariant, fullCost } from '../../../../src/model/engines/plan/open-variant.ts'
import { callsOf } from '../../../../src/model/engines/plan/plan-cost.ts'
import type { GraphSession } from '../../../../src/model/engines/plan/variant.ts'

t.test('a graph of one request is called for each, though it does not read whose a row is', async (t) => {
  // oneDNN's programs have no inputs that they do not read.
  const session: GraphSession = {
    inputs: [{ name: 'context', type: 'float32', rank: 2 }],
    run: async () => ({}),
    release: async () => undefined,
  }
  const context = [{ name: 'context', input: 'dense', columns: [0] }]
  const variant = createVariant(session, { context, rows: [], oneRequest: true })
  const requests = [{ rows: Int32Array.of(0, 1) }, { rows: Int32Array.of(2) }]
  const calls = callsOf({ ...variant, cost: fullCost(variant, { a: 1, b: 10 }) }, requests)
  t.same(
    calls.map((call) => call.length),
    [1, 1],
  )
})
