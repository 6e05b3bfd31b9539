import t from 'tap'
import { planCells, planSessions } from '../../../loadtest/competitors/plan.ts'
import { type Scenario, scenarios } from '../../../loadtest/competitors/scenarios.ts'

const chosen = (...names: Scenario['name'][]) => scenarios.filter(({ name }) => names.includes(name))
const tell = ({ server, form, candidates }: { server: string; form: string; candidates: string }) =>
  `${server} ${form} ${candidates}`

t.test(
  'every server is asked in each of its forms, and with known candidates only where that makes a difference',
  async (t) => {
    t.same(planCells(['multigate', 'fastify'], chosen('S2')).map(tell), [
      'multigate tensors new',
      'multigate columns new',
      'multigate binary new',
      'fastify tensors new',
    ])
    t.same(planCells(['multigate', 'triton'], chosen('S3')).map(tell), [
      'multigate tensors new',
      'multigate tensors seen',
      'multigate columns new',
      'multigate columns seen',
      'multigate binary new',
      'multigate binary seen',
      'triton oip new',
      'triton binary new',
    ])
  },
)

t.test('one process answers what its model and set-up allow, and servers take turns', async (t) => {
  const cells = planCells(['fastify', 'mosec'], scenarios)
  const sessions = planSessions(cells, 0).map(({ server, cells }) => [
    server,
    ...cells.map(({ scenario }) => scenario.name),
  ])
  t.same(sessions, [
    ['fastify', 'S1'],
    ['mosec', 'S1'],
    ['fastify', 'S2', 'S3', 'S4'],
    ['mosec', 'S2'],
    ['mosec', 'S3', 'S4'],
    ['fastify', 'S5'],
    ['mosec', 'S5'],
  ])
  t.same(
    planSessions(cells, 1).map(({ server }) => server),
    ['mosec', 'fastify', 'mosec', 'mosec', 'fastify', 'mosec', 'fastify'],
  )
})
