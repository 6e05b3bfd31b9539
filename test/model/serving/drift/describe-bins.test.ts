import t from 'tap'
import {
  createBinOf,
  describeFieldBins,
  describeLengthBins,
  describeTaskBins,
} from '../../../../src/model/serving/drift/bins.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { FieldEncoder } from '../../../../src/model/serving/features/field.ts'
import { testFeatures } from '../../../support/bundle.ts'

const encoder = createEncoder(testFeatures)
const [country, hour, campaign, price, views] = encoder.layout.slots.map((slot) => slot.encoder) as FieldEncoder[]

t.test('ids are named as requests name them', async (t) => {
  t.same(describeFieldBins({ ids: [0, 3, 1], shares: [0.1, 0.2, 0.3, 0.4] }, country!, 0), [
    { label: 'unknown values' },
    { label: 'US', value: 'US' },
    { label: 'DE', value: 'DE' },
    { label: 'all other values' },
  ])
  t.same(describeFieldBins({ ids: [4, 27], shares: [0.1, 0.2, 0.7] }, hour!, 4), [
    { label: '0', value: 0 },
    { label: '23', value: 23 },
    { label: 'all other values' },
  ])
  t.same(describeFieldBins({ ids: [28, 34], shares: [0.1, 0.2, 0.7] }, campaign!, 28), [
    { label: 'bucket 0' },
    { label: 'bucket 6' },
    { label: 'all other values' },
  ])
})

t.test('lengths of lists are whole numbers', async (t) => {
  t.same(describeLengthBins({ edges: [0, 1, 5], shares: [0.1, 0.2, 0.3, 0.4] }), [
    { label: '0', high: 0 },
    { label: '1', low: 0, high: 1 },
    { label: '2 to 5', low: 1, high: 5 },
    { label: '6 or more', low: 5 },
  ])
  t.same(describeLengthBins({ edges: [3], shares: [0.5, 0.5] })[0], { label: '0 to 3', high: 3 })
})

t.test('an id that the field does not have is named as such', async (t) => {
  t.same(describeFieldBins({ ids: [99, 0], shares: [0.1, 0.2, 0.7] }, hour!, 4).slice(0, 2), [
    { label: 'id 95' },
    { label: 'id -4' },
  ])
})

t.test('numbers are as requests give them, without scaling', async (t) => {
  const bins = describeFieldBins({ edges: [0, Math.log(10)], shares: [0.2, 0.5, 0.3] }, price!, 0)
  t.match(bins, [
    { label: 'up to 0', high: 0, value: 0 },
    { label: '0 to 9', low: 0, high: 9 },
    { label: 'above 9', low: 9 },
  ])
  t.notOk('low' in bins[0]!)
  t.notOk('high' in bins[2]!)
  t.match(describeFieldBins({ edges: [0], shares: [0.2, 0.8] }, views!, 0), [{ high: 2 }, { low: 2 }])
})

t.test('the value of a bin falls into it, as the encoder encodes it', async (t) => {
  const distributions = {
    price: { edges: [-0.5, 0, 0.001, 0.0010001, 3], shares: [0.1, 0.1, 0.1, 0.1, 0.1, 0.5] },
    views: { edges: [-7], shares: [0.5, 0.5] },
  }
  for (const [name, distribution] of Object.entries(distributions)) {
    const field = { price: price!, views: views! }[name]!
    const binOf = createBinOf(distribution)
    for (const [bin, { value }] of describeFieldBins(distribution, field, 0).entries()) {
      const row = { campaign: 'c', price: 1, hour: 1, [name]: value! }
      const { dense } = encoder.rows(undefined, [row], { maxRows: 1, partial: false })
      t.equal(binOf(dense[encoder.layout.byName.get(name)!.column]!), bin, `${name} ${bin}: ${value}`)
    }
  }
})

t.test('a number beyond float64 is no value', async (t) => {
  const [, last] = describeFieldBins({ edges: [800], shares: [0.5, 0.5] }, price!, 0)
  t.notOk('value' in last!)
})

t.test('probabilities have both bounds', async (t) => {
  t.same(describeTaskBins({ edges: [0.02], shares: [0.5, 0.5] }), [
    { label: '0 to 0.02', low: 0, high: 0.02 },
    { label: '0.02 to 1', low: 0.02, high: 1 },
  ])
})
