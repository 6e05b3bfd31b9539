import type { Features } from '../../src/schemas/features.ts'
import { testFeatures } from './bundle.ts'

/** The items that a user viewed, of the table of `item`, and how long ago: lists of one sequence. */
export const viewedItems = (sequence: string): Features => [
  {
    name: 'history',
    side: 'context',
    kind: 'shared',
    table: 'item',
    out_of_vocabulary: 'drop',
    missing: { default: [] },
    list: { max: 3, keep: 'last' },
    sequence,
  },
  {
    name: 'ages',
    side: 'context',
    kind: 'numeric',
    scaling: { method: 'log1p', scale: 1 },
    missing: { default: [] },
    list: { max: 3, keep: 'last' },
    sequence,
  },
]

/** The fields of tests, and with them lists of a sequence, weighted and of numbers, and a vector; all have defaults. */
export const listFeatures: Features = [
  ...testFeatures,
  ...viewedItems('seen'),
  {
    name: 'item',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['a', 'b', 'c'],
    out_of_vocabulary: 'bucket',
    missing: { default: 'a' },
  },
  {
    name: 'tags',
    side: 'candidate',
    kind: 'vocabulary',
    values: ['x', 'y'],
    out_of_vocabulary: 'bucket',
    missing: { default: [] },
    list: { max: 2, weighted: true },
  },
  { name: 'image', side: 'candidate', kind: 'vector', length: 2, missing: { default: [0, 1] } },
]

/** A request for a model of these fields. */
export const listContext = {
  country: 'DE',
  hour: 21,
  history: ['a', 'zzz', 'b', 'c', 'a'],
  ages: [9, 8, 0, 2, 1],
}
export const listCandidates = [
  { campaign: 'c1', price: 1, item: 'a', tags: ['x'], image: [1, 2] },
  { campaign: 'c2', price: 2, item: 'b', tags: [], image: [0.5, -1] },
  { campaign: 'c3', price: 3, item: 'q', tags: ['y', 'q', 'x'], image: [0, 0] },
]
