import t from 'tap'
import type { Drift } from '../../../src/model/serving/drift/monitor.ts'
import { largestDrift, type Observations, sumObservations } from '../../../src/server/request/observations.ts'

const price = { kind: 'feature', name: 'price' } as const

t.test('counts and unknown values of several processes add up, field by field', async (t) => {
  const ofOne: Observations = {
    counted: [
      { ...price, total: 3, counts: [1, 2] },
      { kind: 'task', name: 'price', total: 1, counts: [0, 1] },
    ],
    unknown: new Map([['country', 2]]),
  }
  const other: Observations = {
    counted: [{ ...price, total: 10, counts: [4, 6] }],
    unknown: new Map([
      ['country', 1],
      ['city', 5],
    ]),
  }
  t.same(sumObservations([ofOne, other]), {
    counted: [
      { ...price, total: 13, counts: [5, 8] },
      { kind: 'task', name: 'price', total: 1, counts: [0, 1] },
    ],
    unknown: new Map([
      ['country', 3],
      ['city', 5],
    ]),
  })
  t.same(ofOne.counted[0]!.counts, [1, 2], 'the parts stay as they are')
  t.same(sumObservations([ofOne]), ofOne)
  t.equal(sumObservations([]), undefined)
})

t.test('of each version the largest drift in any process', async (t) => {
  const drift = (psi: number): Drift => ({ ...price, psi })
  t.same(
    largestDrift([
      { model: 'ads', version: '1', drift: drift(0.1) },
      { model: 'ads', version: '2', drift: drift(0.2) },
      { model: 'ads', version: '1', drift: drift(0.3) },
      { model: 'ads', version: '2', drift: drift(0.1) },
    ]),
    [
      { model: 'ads', version: '1', drift: drift(0.3) },
      { model: 'ads', version: '2', drift: drift(0.2) },
    ],
  )
})
