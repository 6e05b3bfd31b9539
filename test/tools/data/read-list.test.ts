import t from 'tap'
import { readList } from '../../../src/tools/data/read-list.ts'
import type { RowCell } from '../../../src/tools/data/source.ts'

const tags = { name: 'tags', kind: 'string' } as const
const image = { name: 'image', kind: 'number' } as const
const weighted = { ...tags, weighted: true }

t.test('a list in each of its forms', async (t) => {
  t.same(readList(tags, ['a', 'b'], null), { values: ['a', 'b'] })
  t.same(readList(tags, [3, 'b'], null), { values: ['3', 'b'] }, 'ids as strings, as in other columns')
  t.same(readList(tags, '["a", "b"]', null), { values: ['a', 'b'] })
  t.same(readList({ ...tags, separator: '|' }, 'a|b', null), { values: ['a', 'b'] })
  t.same(readList({ ...image, separator: ' ' }, '0.5 -1e3', null), { values: [0.5, -1000] })
  t.same(readList({ ...tags, separator: '|' }, '', null), { values: [] })
  t.same(readList(tags, [], null), { values: [] })
  t.equal(readList(tags, null, null), null)
  t.equal(readList(tags, ' null', null), null, "JSON's null, as an empty cell")
  t.same(readList({ ...tags, separator: '|' }, 'null', null), { values: ['null'] }, 'where cells are no JSON')
  t.same(readList(tags, '["a"]', 'null'), { values: ['a'] })
})

t.test('weights from a column of their own, or beside the values', async (t) => {
  t.same(readList(weighted, ['a', 'b'], [2, 0.5]), { values: ['a', 'b'], weights: [2, 0.5] })
  t.same(readList({ ...weighted, separator: ';' }, 'a;b', '2;0.5'), { values: ['a', 'b'], weights: [2, 0.5] })
  t.same(readList(weighted, '{"values": ["a"], "weights": [3]}', null), { values: ['a'], weights: [3] })
  t.same(readList(weighted, ['a'], null), { values: ['a'] }, 'without any, each value weighs 1')
})

t.test('what is no list says which value is wrong', async (t) => {
  const cases: [typeof weighted | typeof image, RowCell, RowCell, string][] = [
    [
      weighted,
      'shoes',
      null,
      'tags must be a JSON array, such as ["a", "b"], not "shoes"; name the separator of other',
    ],
    [weighted, '["a"', null, 'tags is no valid JSON'],
    [weighted, '{"a": 1}', null, 'tags must be a JSON array, or an object with arrays values and weights'],
    [weighted, 7, null, 'tags must be a list, not 7'],
    [weighted, ['a', null], null, 'tags[1] is null: leave out values that are missing'],
    [weighted, '["a", ["b"]]', null, 'tags[1] must be a string, not a list'],
    [weighted, '[true]', null, 'tags[0] must be a string, not true'],
    [{ ...weighted, separator: '|' } as typeof weighted, 'a||b', null, 'tags[1] is empty: no value stands before or'],
    [weighted, ['a', 'b'], [1], 'tags has 1 weights for 2 values'],
    [weighted, ['a'], [-1], 'weight 0 of tags must not be negative, as -1 is'],
    [weighted, ['a'], 'x', 'weights of tags must be a JSON array'],
    [image, ['1', 'x'], null, 'image[1] must be a number, not "x"'],
    [image, [1, Number.NaN], null, 'image[1] must be a number, not NaN'],
    [image, [1, null], null, 'image[1] is null'],
    [image, '[{}]', null, 'image[0] must be a number, not an object'],
  ]
  for (const [list, cell, weights, message] of cases)
    t.throws(
      () => readList(list, cell, weights),
      { message: new RegExp(`^${message.replaceAll(/[[\](){}|.+?^$]/g, '\\$&')}`) },
      message,
    )
})
