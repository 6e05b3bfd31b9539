import t from 'tap'
import { createUniform } from '../../../src/base/hash.ts'
import { inputFields } from '../../../src/model/serving/features/table.ts'
import { columnOf } from '../../../src/tools/data/columns.ts'
import { ListColumn } from '../../../src/tools/data/list-column.ts'
import { encodeLinear } from '../../../src/tools/evaluate/linear-rows.ts'
import { fitLogistic } from '../../../src/tools/evaluate/logistic.ts'
import { listProblems, predictorFields, readingsOfModel } from '../../../src/tools/evaluate/model-fields.ts'
import { logFields } from '../../support/log-fields.ts'

const fields = predictorFields(logFields)
const fieldOf = (name: string) => fields.find((field) => field.name === name)!

function listOf(kind: 'string' | 'number', lists: readonly ((string | number)[] | null)[], weights?: number[][]) {
  const column = new ListColumn(kind, weights !== undefined)
  lists.forEach((values, i) => {
    column.push(values && { values, weights: weights?.[i] })
  })
  return column
}

t.test('a list is a count and its members, a vector its numbers', async (t) => {
  const rows = Int32Array.of(0, 1, 2)
  const cells = [
    listOf('string', [['x', 'y'], [], null], [[3, 4], [], []]),
    listOf('number', [[1, 3], [6], []]),
    listOf('number', [[1, 2], [3, 2], null]),
    columnOf([1, 2, 3]),
  ]
  const names = ['tags', 'ages', 'image', 'price']
  const { weights, places, fields: width, members } = encodeLinear(names.map(fieldOf), cells, rows)
  // Two weights for each count, for a vector's presence and for the price; 2 tags, the mean of ages, 2 numbers.
  t.same([width, weights], [4, 8 + 2 + 1 + 2])
  t.same([...places.subarray(8)], [1, 2, 5, 6], 'missing lists and vectors have a weight of their own')
  t.same([...members!.starts], [0, 5, 8, 8])
  t.same([...members!.places], [8, 9, 10, 11, 12, 10, 11, 12])
  const rounded = Array.from(members!.values, (value) => Number(value.toFixed(3)))
  t.same(rounded, [0.6, 0.8, -1, -1, 0, 1, 1, 0])
})

t.test('a regression learns from the members of a list', async (t) => {
  const random = createUniform(3)
  const lists = Array.from({ length: 2000 }, () => ['x', 'y', 'z'].filter(() => random() < 0.5))
  const labels = lists.map((list) => Number(random() < (list.includes('y') ? 0.8 : 0.2)))
  const rows = Int32Array.from(lists, (_, row) => row)
  const linear = encodeLinear([fieldOf('tags')], [listOf('string', lists)], rows)
  const predict = await fitLogistic(linear, rows, labels, undefined)
  const at = (list: string) => predict(lists.findIndex((one) => one.join() === list))
  for (const list of ['y', 'x,y', 'y,z']) t.ok(at(list) > 0.65, `${list}: ${at(list)}`)
  for (const list of ['', 'x', 'z', 'x,z']) t.ok(at(list) < 0.35, `${list}: ${at(list)}`)
})

t.test('fields that share a table are read as the field that owns it', async (t) => {
  t.same(
    fields.map(({ kind }) => kind),
    inputFields(logFields).map(({ kind }) => kind),
  )
  const spec = {
    fields: [
      { name: 'tags', column: 'labels', list: { separator: '|' }, weights: 'strengths' },
      { name: 'image', list: { separator: ' ' } },
    ],
  }
  const readings = readingsOfModel(fields, spec).map(({ name, kind, column, list }) => [name, kind, column, list])
  const plain = { separator: undefined, weights: undefined, weighted: false }
  t.same(readings, [
    ['user', 'number', undefined, undefined],
    ['history', 'string', undefined, plain],
    ['ages', 'number', undefined, plain],
    ['item', 'string', undefined, undefined],
    ['tags', 'string', 'labels', { separator: '|', weights: 'strengths', weighted: true }],
    ['image', 'number', undefined, { ...plain, separator: ' ' }],
    ['price', 'number', undefined, undefined],
  ])
  t.same(listProblems(fields, spec), [])
})

t.test('what the spec says of lists must fit the version', async (t) => {
  const spec = {
    fields: [
      { name: 'item', list: { separator: '|' } },
      { name: 'history', weights: 'strengths' },
      { name: 'of another version', list: { separator: '|' } },
    ],
  }
  t.same(listProblems(fields, spec), [
    { path: '/fields/0/list', message: "must be left out: the model's item is one value" },
    { path: '/fields/1/weights', message: "must be left out: the model's history has no weights" },
  ])
})
