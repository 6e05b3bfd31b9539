import type { Entities } from '../../src/schemas/entities.ts'
import { testFeatures } from './bundle.ts'
import { importRows } from './feature-table.ts'

/** Fields of the model `ads-by-id`, where it is a small one. */
export const adsByIdFeatures: typeof testFeatures = [
  ...testFeatures,
  { name: 'segment', side: 'context', kind: 'hash', buckets: 8, seed: 0, missing: { default: '' } },
]

/** The entities of the model `ads-by-id`, which examples of the documents ask by id. */
export const adsById: Entities = {
  ad: { key: 'ad_id', side: 'candidate', table: 'ads', features: ['campaign', 'price'], unknown: 'defaults' },
  user: { key: 'user_id', side: 'context', table: 'users', features: ['country', 'segment'], unknown: 'refuse' },
}

/** The tables that it reads. */
export async function importAdsById(models: string): Promise<void> {
  await importRows(models, 'ads', [
    { id: 'ad-1', campaign: 'c9', price: 1.25 },
    { id: 'ad-2', campaign: 'c4', price: 0.4 },
  ])
  await importRows(models, 'users', [{ id: 'u1', country: 'DE', segment: 's17' }])
}
