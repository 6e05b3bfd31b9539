import t from 'tap'
import { createSparseFieldEncoder } from '../../../../src/model/serving/features/field.ts'
import { createVocabulary, fillVocabularies } from '../../../../src/model/serving/features/vocabulary.ts'
import type { VocabularyField } from '../../../../src/schemas/features.ts'

const values = Array.from({ length: 100_000 }, (_, i) => `item-${i}`)

t.test('a large vocabulary is filled over several turns of the event loop, each with a bounded part', async (t) => {
  let filled = 0
  const inner = createVocabulary(values)
  const counts: number[] = []
  const vocabulary = {
    ...inner,
    fill(count: number) {
      filled += count
      return inner.fill(count)
    },
  }
  await fillVocabularies([{ vocabulary }, {}], async () => {
    counts.push(filled)
    filled = 0
  })
  t.same(counts, [20_000, 20_000, 20_000, 20_000])
  t.same([inner.indexOf('item-0'), inner.indexOf('item-99999'), inner.indexOf('x')], [0, 99_999, undefined])
})

t.test('a small one takes no turn', async (t) => {
  const vocabulary = createVocabulary(['a', 'b'])
  await fillVocabularies([{ vocabulary }], async () => {
    t.fail('waits')
  })
  t.equal(vocabulary.indexOf('b'), 1)
})

t.test('one that nobody has filled is filled by the first look-up', (t) => {
  const vocabulary = createVocabulary(values)
  vocabulary.fill(10)
  t.same([vocabulary.indexOf('item-70000'), vocabulary.indexOf('item-5')], [70_000, 5])
  t.notOk(vocabulary.fill(1))
  t.end()
})

t.test('a field that encodes nothing fills no table, whatever its default', (t) => {
  const field: VocabularyField = {
    name: 'item',
    side: 'candidate',
    kind: 'vocabulary',
    values,
    out_of_vocabulary: 'bucket',
    missing: { default: 'item-41' },
  }
  const encoder = createSparseFieldEncoder(field, 100)
  t.equal(encoder.missing, 142)
  t.equal(createSparseFieldEncoder({ ...field, missing: { default: 'none' } }, 100).missing, 100)
  t.ok(encoder.vocabulary?.fill(values.length - 1), 'one is still left')
  t.equal(encoder.encode('item-99999'), 100_100)
  t.end()
})
