import t from 'tap'
import { createLayout } from '../../../src/model/serving/features/layout.ts'
import type { Field } from '../../../src/schemas/features.ts'
import { paddingRows } from '../../../src/tools/train/padding-rows.ts'

const common = { side: 'candidate', missing: 'error' } as const
const integer = { ...common, kind: 'integer', size: 3 } as const
const list = { max: 2 }
const features: Field[] = [
  // 0 is the row of unknown items, and where `viewed` has no value.
  { ...integer, name: 'item', out_of_vocabulary: 'bucket' },
  { ...common, name: 'viewed', kind: 'shared', table: 'item', out_of_vocabulary: 'drop', list },
  // 4 is padding, 5 unknown.
  { ...integer, name: 'tags', out_of_vocabulary: 'bucket', list },
  // 9 is padding.
  { ...common, name: 'shop', kind: 'hash', buckets: 4, padded: true },
  { ...common, name: 'shops', kind: 'shared', table: 'shop', list },
  // 14 to 16: the second is padding, which no value of these lists has.
  { ...integer, name: 'kept', out_of_vocabulary: 'drop', list: { max: 2, padding: 1 } },
  // 17 to 19: the second is padding in lists, and a value of `one`.
  { ...integer, name: 'apart', out_of_vocabulary: 'drop', list: { max: 2, padding: 1 } },
  { ...common, name: 'one', kind: 'shared', table: 'apart', out_of_vocabulary: 'error' },
]
const crossed = [{ name: 'both', of: ['tags', 'shop'], buckets: 10, seed: 0 }]

t.test('rows of padding are those that no value has', async (t) => {
  const rows = paddingRows(createLayout(features, { crossed }))
  t.same(rows('embedding/embeddings'), [4, 9, 15, 20])
})

t.test('a table of a field has its own', async (t) => {
  const layout = createLayout(features, { crossed, ownIds: true })
  const rows = paddingRows(layout)
  const columnOf = (name: string) => layout.byName.get(name)!.column
  const found = ['item', 'tags', 'shop', 'kept', 'apart'].map((name) => rows(`wide/field_${columnOf(name)}/embeddings`))
  t.same(found, [[], [0], [0], [1], []])
  t.same(rows(`embedding/field_${layout.crossed[0]!.column}/embeddings`), [0])
})
