import type { Entities } from '../../src/schemas/entities.ts'
import { importRows } from './feature-table.ts'

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
