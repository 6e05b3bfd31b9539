import fc from 'fast-check'
import t from 'tap'
import { optimise } from '../../../../src/model/compile/optimise.ts'
import { splitSides } from '../../../../src/model/compile/sides/split-sides.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { randomTowers } from '../../../support/compile/random-towers.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'

t.test('answers the same where users and candidates have towers of their own', async (t) => {
  const found = { context: 0, candidate: 0, both: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const towers = randomTowers(seed)
      const graph = await prepared(towers.graph)
      await optimise(graph)
      const before = graph.toBytes()
      const plans = splitSides(graph, towers.sides)
      if (!Buffer.from(before).equals(graph.toBytes())) throw new Error('the graph itself was changed')
      if (typeof plans === 'string') {
        if (!/^every field belongs|^no field belongs|^no product of features/.test(plans)) throw new Error(plans)
        return
      }
      const breach = await breachOfPlans(graph, towers.sides, plans, new Dice(seed))
      if (breach !== undefined) throw new Error(breach)
      found.context += Number(plans.layers.some(({ kept, context }) => !kept && context >= 0))
      found.candidate += Number(plans.layers.some(({ kept, context }) => kept && context < 0))
      found.both += Number(plans.layers.some(({ kept, context }) => kept && context >= 0))
    }),
    { numRuns: 150 },
  )
  t.ok(found.context > 20 && found.candidate > 20 && found.both > 40, JSON.stringify(found))
})
