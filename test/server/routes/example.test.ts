import t from 'tap'
import type { Field } from '../../../src/schemas/features.ts'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import { exampleOf } from '../../../src/server/routes/example.ts'
import { exampleManifest } from '../../support/fakes/manifest.ts'

const asPrice = (field: Field): Field =>
  field.name === 'price' && field.kind === 'numeric' ? { ...field, scaling: { method: 'log1p', scale: 1 } } : field

const withRow = (row: Record<string, unknown>): Manifest => ({
  ...exampleManifest({ features: exampleManifest().features.map(asPrice) }),
  golden: { rows: [row] } as unknown as NonNullable<Manifest['golden']>,
})

t.test('each field stands on its side, and counts and prices are not negative', async (t) => {
  const row = { price: -0.63123456, country: 'DE', hour: 7, campaign: 'c1', age: null }
  t.same(exampleOf(withRow(row)), {
    example: {
      model: exampleManifest().name,
      context: { country: 'DE', hour: 7 },
      candidates: [{ campaign: 'c1', price: 0.6312, age: null }],
    },
  })
})

t.test('without context fields there is no context', async (t) => {
  t.notOk('context' in exampleOf(withRow({ campaign: 'c1' })).example!)
})

t.test('without golden rows there is no example', async (t) => {
  const { golden: _, ...manifest } = exampleManifest()
  t.same(exampleOf(manifest as Manifest), {})
})

t.test('lists and vectors are shown, of marked fields in the same length', async (t) => {
  const list = { max: 3 }
  const numeric = {
    kind: 'numeric' as const,
    scaling: { method: 'log1p' as const, scale: 1 },
    missing: 'error' as const,
  }
  const features: Field[] = [
    { name: 'ages', side: 'context', ...numeric, list: { ...list, weighted: true }, sequence: 'seen' },
    {
      name: 'history',
      side: 'context',
      kind: 'shared',
      table: 'item',
      missing: 'error',
      list,
      sequence: 'seen',
      log: 'drop',
    },
    { name: 'image', side: 'candidate', kind: 'vector', length: 2, missing: 'error' },
    { name: 'item', side: 'candidate', kind: 'hash', buckets: 9, missing: 'error' },
  ]
  const golden = {
    ages: { values: [-0.63123456, 2], weights: [1, 0.5] },
    history: ['secret', 'too'],
    image: [0.123456, -1],
    item: 'x',
  }
  const { golden: _, ...manifest } = exampleManifest({ features })
  t.same(exampleOf({ ...manifest, golden: { rows: [golden], probabilities: [], tolerance: 1 } } as Manifest), {
    example: {
      model: 'ads',
      context: { ages: { values: [0.6312, 2], weights: [1, 0.5] }, history: ['example', 'example'] },
      candidates: [{ image: [0.1235, -1], item: 'x' }],
    },
  })
})
