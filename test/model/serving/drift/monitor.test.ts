import t from 'tap'
import type { PredictionTable } from '../../../../src/model/contracts/prediction.ts'
import { createDriftMonitor } from '../../../../src/model/serving/drift/monitor.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { testFeatures } from '../../../support/bundle.ts'

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
