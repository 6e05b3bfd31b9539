import type { Features } from '../../src/schemas/features.ts'
import { viewedItems } from './list-features.ts'

/** Fields of a log: a sequence that shares a table, a weighted list that owns one, a vector, and single values. */
export const logFields: Features = [
  { name: 'user', side: 'context', kind: 'integer', size: 40, out_of_vocabulary: 'bucket', missing: 'error' },
  ...viewedItems('views'),
  {
    name: 'item',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['a', 'b', 'c'],
    out_of_vocabulary: 'bucket',
    missing: 'error',
  },
  {
    name: 'tags',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['x', 'y', 'z'],
    out_of_vocabulary: 'bucket',
    missing: { default: [] },
    list: { max: 2, weighted: true },
  },
  { name: 'image', side: 'candidate', kind: 'vector', length: 2, missing: 'error' },
  { name: 'price', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
]
