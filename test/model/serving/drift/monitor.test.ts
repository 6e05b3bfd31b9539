import t from 'tap'
import type { PredictionTable } from '../../../../src/model/contracts/prediction.ts'
import { createDriftMonitor } from '../../../../src/model/serving/drift/monitor.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { testFeatures } from '../../../support/bundle.ts'
import { logFields } from '../../../support/log-fields.ts'

const encoder = createEncoder(testFeatures)
const reference = {
  features: { country: { ids: [1], shares: [1, 0] }, price: { edges: [1], shares: [1, 0] } },
  tasks: { ctr: { edges: [0.5], shares: [1, 0] } },
}
const request = (country: string, prices: number[]) =>
  encoder.rows(
    { country, hour: 1 },
    prices.map((price) => ({ campaign: 'c', price })),
    { maxRows: 1000, partial: false },
  )
const table = (ctr: number[], ranked = false): PredictionTable => ({
  requested: ctr.length,
  index: undefined,
  scores: ranked ? Float64Array.from(ctr) : undefined,
  tasks: [
    ['ctr', Float64Array.from(ctr)],
    ['other', Float64Array.from(ctr)],
  ],
  raw: undefined,
  gates: undefined,
  ids: undefined,
  problems: [],
})

t.test('traffic like the reference shows no drift, other traffic does', async (t) => {
  const monitor = createDriftMonitor(reference, encoder.layout)
  for (let i = 0; i < 500; i++) monitor.observe(request('DE', [0.5, 1]), table([0.1, 0.2]))
  t.same(
    monitor.report().map(({ kind, name, psi }) => [kind, name, psi < 0.01]),
    [
      ['feature', 'country', true],
      ['feature', 'price', true],
      ['task', 'ctr', true],
    ],
  )
  for (let i = 0; i < 500; i++) monitor.observe(request('FR', [0.5, 20]), table([0.9, 0.2]))
  for (const { name, psi } of monitor.report()) t.ok(psi > 0.25, name)
})

t.test('a request counts as one observation of its fields, whatever its rows', async (t) => {
  const monitor = createDriftMonitor({ ...reference, tasks: {} }, encoder.layout)
  for (let i = 0; i < 499; i++) monitor.observe(request('DE', Array(20).fill(1)), table(Array(20).fill(0.1)))
  t.same(monitor.report(), [])
})

t.test('ranked answers and empty ones are left out', async (t) => {
  const monitor = createDriftMonitor({ ...reference, features: {} }, encoder.layout)
  for (let i = 0; i < 600; i++) monitor.observe(request('DE', [1]), table([0.1], true))
  const empty = {
    requested: 1,
    rows: 0,
    sparse: new Int32Array(),
    dense: new Float32Array(),
    problems: [],
    placeOf: () => '',
  }
  for (let i = 0; i < 600; i++) monitor.observe(empty, table([]))
  t.same(monitor.report(), [])
})

t.test('without a reference there is nothing to say', async (t) => {
  const monitor = createDriftMonitor(undefined, encoder.layout)
  monitor.observe(request('DE', [1]), table([0.1]))
  t.same(monitor.report(), [])
})

t.test('lists are compared by their values and by their lengths', async (t) => {
  const lists = createEncoder(logFields)
  const { layout } = lists
  const id = layout.byName.get('item')!.encoder.encode('a') as number
  const monitor = createDriftMonitor(
    {
      features: { history: { ids: [id], shares: [1, 0] }, price: { edges: [1], shares: [1, 0] } },
      lengths: { history: { edges: [2], shares: [1, 0] }, ages: { edges: [0, 2], shares: [0, 1, 0] } },
      tasks: {},
    },
    layout,
  )
  const observe = (history: string[], times: number) => {
    const context = { user: 1, history, ages: history.map(() => 0) }
    const candidates = [{ item: 'b', image: [1, 2], price: 1 }]
    const encoded = lists.rows(context, candidates, { maxRows: 10, partial: false })
    for (let i = 0; i < times; i++) monitor.observe(encoded, table([0.5]))
  }
  const kinds = () => monitor.report().map(({ kind, name, psi }) => [kind, name, psi < 0.1])
  observe(['a', 'a'], 250)
  t.same(kinds(), [['feature', 'history', true]], 'two values of each request')
  observe(['a', 'a'], 250)
  t.same(kinds(), [
    ['feature', 'history', true],
    ['feature', 'price', true],
    ['length', 'history', true],
    ['length', 'ages', true],
  ])
  observe([], 600)
  t.same(
    monitor.observed().map(({ kind, name, total }) => [kind, name, total]),
    [
      ['feature', 'history', 1000],
      ['feature', 'price', 1100],
      ['length', 'history', 1100],
      ['length', 'ages', 1100],
    ],
    'an empty list is a length, and no value; ages of 0 are values where the history has some',
  )
  t.same(kinds().at(-1), ['length', 'ages', false])
  t.same(kinds().at(-2), ['length', 'history', true], 'lengths 0 to 2 are one bin')
  observe(['b', 'b', 'b'], 600)
  t.same(
    kinds().filter(([, name]) => name === 'history'),
    [
      ['feature', 'history', false],
      ['length', 'history', false],
    ],
  )
})
