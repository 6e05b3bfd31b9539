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
