import t from 'tap'
import { createBins, populationStability } from '../../../../src/model/serving/drift/bins.ts'
import { fc } from '../../../support/cases.ts'

const near = (actual: number, expected: number, tolerance = 1e-9) => Math.abs(actual - expected) <= tolerance

t.test('the index is Σ (live − reference) · ln(live ÷ reference)', async (t) => {
  // Large counts, so that smoothing hardly matters.
  const psi = populationStability([0.5, 0.3, 0.2], [300_000, 400_000, 300_000])
  t.ok(near(psi, -0.2 * Math.log(0.3 / 0.5) + 0.1 * Math.log(0.4 / 0.3) + 0.1 * Math.log(0.3 / 0.2), 1e-5))
})

t.test('it is never negative, zero for equal shares, and finite for empty bins', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 2, maxLength: 12 }), (bins) => {
      const counts = bins.map(([, live]) => live)
      const sum = bins.reduce((total, [reference]) => total + reference, 0)
      fc.pre(sum > 0 && counts.some((count) => count > 0))
      const psi = populationStability(
        bins.map(([reference]) => reference / sum),
        counts,
      )
      const itself = populationStability(
        counts.map((count) => count / counts.reduce((a, b) => a + b)),
        counts,
      )
      if (!(psi >= -1e-12 && Number.isFinite(psi)) || !near(itself, 0)) throw new Error(`${psi}, ${itself}`)
    }),
  )
})

t.test('numbers fall into the first bin whose edge is not below them, ids into their own', async (t) => {
  const numbers = createBins({ edges: [0, 1], shares: [0.25, 0.5, 0.25] })
  for (let i = 0; i < 250; i++) for (const value of [0, 0.5, 1, 2]) numbers.add(value)
  t.ok(near(numbers.psi()!, 0))
  const ids = createBins({ ids: [7, 3], shares: [0.25, 0.25, 0.5] })
  for (let i = 0; i < 250; i++) for (const value of [7, 3, 8, 0]) ids.add(value)
  t.ok(near(ids.psi()!, 0))
})

t.test('with few values nothing is said', async (t) => {
  const bins = createBins({ edges: [0], shares: [0.5, 0.5] })
  for (let i = 0; i < 499; i++) bins.add(1)
  t.equal(bins.psi(), undefined)
  bins.add(1)
  t.ok(bins.psi()! > 0.25)
})

t.test('the past fades', async (t) => {
  const bins = createBins({ edges: [0], shares: [0, 1] })
  for (let i = 0; i < 20_000; i++) bins.add(-1)
  const before = bins.psi()!
  for (let i = 0; i < 200_000; i++) bins.add(1)
  t.ok(before > 0.25)
  t.ok(bins.psi()! < 0.01)
})
