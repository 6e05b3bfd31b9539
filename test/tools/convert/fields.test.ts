import t from 'tap'
import type { Field } from '../../../src/schemas/features.ts'
import { chooseFields } from '../../../src/tools/convert/fields.ts'
import type { ImportedModel, SparseColumn } from '../../../src/tools/convert/keras/imported-model.ts'

const model = (sparse: SparseColumn[], dense: string[] = [], tableWidth = 4): ImportedModel => ({
  description: '',
  architecture: undefined,
  sparse,
  dense,
  tasks: ['task_0'],
  tableWidth,
  assumed: [],
  evaluate: () => new Float64Array(1),
  build: () => Promise.reject(new Error('not asked')),
})
const column = (name: string, rows: number, table = 0) => ({ name, rows, table })
const none = { features: undefined, sizes: undefined, sides: { context: [], cross: [] }, allowUnused: false }
const integer = (name: string, size: number): Field => ({
  name,
  side: 'candidate',
  kind: 'integer',
  size,
  out_of_vocabulary: 'error',
  missing: 'error',
})

t.test('fields that share a table use it one after the other, where they fit into it', (t) => {
  const shared = model([column('a', 10), column('b', 10)])
  const sized = chooseFields(shared, { ...none, sizes: [3, 7] })
  t.same(sized.ranges, [
    { first: 0, ids: 3 },
    { first: 3, ids: 7 },
  ])
  t.same(sized.notes, [])
  t.same(chooseFields(shared, { ...none, features: [integer('x', 4), integer('y', 6)] }).ranges, [
    { first: 0, ids: 4 },
    { first: 4, ids: 6 },
  ])
  t.end()
})

t.test('else each uses all of it, and that is said', (t) => {
  const shared = model([column('a', 10), column('b', 10), column('c', 5, 1)], ['d'])
  const plain = chooseFields(shared, none)
  t.same(plain.ranges, [
    { first: 0, ids: 10 },
    { first: 0, ids: 10 },
    { first: 0, ids: 5 },
  ])
  t.match(plain.features, [
    { name: 'a', size: 10 },
    { name: 'b' },
    { name: 'c', size: 5 },
    { name: 'd', kind: 'numeric' },
  ])
  t.match(plain.notes, [
    /2 fields, a to b, share a table of 10 rows: each may use every row, unless --sizes or --features/,
  ])
  const own = chooseFields(shared, { ...none, sizes: [10, 10, 5] })
  t.match(own.notes, [/have 20 ids and share a table of 10 rows: each may use every row/])
  t.end()
})

t.test('sizes that don’t add up to the table are refused, unless rows may stay unused', (t) => {
  const shared = model([column('a', 10), column('b', 10), column('c', 5, 1)])
  const refused = (sizes: number[], message: RegExp) =>
    t.throws(() => chooseFields(shared, { ...none, sizes }), { code: 'INVALID_REQUEST', message })
  refused(
    [3, 5, 5],
    /a to b, have 8 ids, but the table has 10 rows: .*--allow-unused to leave the last 2 .*\(a 3, b 5\)/,
  )
  refused([8, 9, 5], /a to b, have 17 ids, but share a table of 10 rows: sizes must add up to 10, or each must be 10/)
  refused([4, 6, 4], /the field c has 4 ids, but the table has 5 rows/)
  const allowed = (sizes: number[]) => chooseFields(shared, { ...none, sizes, allowUnused: true })
  t.match(allowed([3, 5, 5]).notes, [/the last 2 of 10 rows of a table belong to no field/])
  t.match(allowed([8, 9, 5]).notes, [/have 17 ids and share a table of 10 rows: each may use every row/])
  t.same(allowed([4, 6, 4]).ranges.at(-1), { first: 0, ids: 4 })
  t.end()
})

t.test('ranges of one table are one id space; whole tables are one each', (t) => {
  const large = Array.from({ length: 30 }, (_, i) => column(`f${i}`, 1_000_000))
  t.equal(chooseFields(model(large, [], 16), none).ownIds, true, 'no row is needed twice')
  const sizes = Array.from({ length: 30 }, () => 30_000)
  t.equal(chooseFields(model(large, [], 16), { ...none, sizes, allowUnused: true }).ownIds, false)
  t.equal(chooseFields(model([], ['d']), none).ownIds, false)
  const mixed = model([column('a', 10), column('b', 10), ...large.map((one) => ({ ...one, table: 1 }))], [], 16)
  const both = { ...none, sizes: [4, 6, ...Array.from({ length: 30 }, () => 1_000_000)] }
  t.throws(() => chooseFields(mixed, both), { code: 'INVALID_REQUEST', message: /which needs a table of \d+ bytes/ })
  t.end()
})

t.test('what is said must fit', (t) => {
  const two = model([column('a', 10)], ['d'])
  const refused = (choice: Partial<typeof none> | object, message: RegExp) =>
    t.throws(() => chooseFields(two, { ...none, ...choice }), { code: 'INVALID_REQUEST', message })
  refused({ sizes: [1, 2] }, /--sizes has 2 sparse fields, but the model takes 1/)
  refused({ sizes: [11] }, /the field a has 11 ids, but its table has 10 rows/)
  refused({ features: [integer('x', 3)] }, /the features have 0 numeric fields, but the model takes 1/)
  refused({ sides: { context: ['z'], cross: [] } }, /there is no field "z"; the fields are a, d$/)
  t.match(chooseFields(two, { ...none, sides: { context: ['a'], cross: ['d'] } }).features, [
    { side: 'context' },
    { side: 'cross' },
  ])
  t.end()
})

t.test('a list is one field in all columns of an input, with all rows of its table', (t) => {
  const hist = [0, 1, 2].map((i) => column(`hist_${i}`, 10, 1))
  const imported = model([...hist, column('item', 10)], ['x_0', 'x_1'])
  const list: Field = {
    ...{ name: 'hist', side: 'context', kind: 'shared', table: 'item', out_of_vocabulary: 'drop' },
    ...{ missing: { default: [] }, list: { max: 3, padding: 0 } },
  }
  const vector: Field = { name: 'x', side: 'candidate', kind: 'vector', length: 2, missing: 'error' }
  const features = [list, integer('item', 10), vector]
  const all = { first: 0, ids: 10 }
  t.match(chooseFields(imported, { ...none, features }), { ranges: [all, all, all, all], ownIds: true })
  const refused = (features: Field[], message: RegExp, of = imported) =>
    t.throws(() => chooseFields(of, { ...none, features }), { code: 'INVALID_REQUEST', message })
  refused([{ ...list, list: { max: 2 } }, ...features.slice(1)], /have 3 sparse columns, but the model takes 4/)
  refused([list, integer('article', 10), vector], /\/features\/0\/table "item" is not a field/)
  const divided = model([...hist, column('item', 10), column('a', 10, 2), column('b', 10, 2)], ['x_0', 'x_1'])
  refused(
    [list, integer('item', 10), integer('a', 4), integer('b', 6), vector],
    /the field hist is a list, or shares a table, but other fields divide a table/,
    divided,
  )
  t.end()
})
