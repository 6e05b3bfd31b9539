import t from 'tap'
import type { TrainField } from '../../../src/schemas/train-fields.ts'
import type { TrainSequence } from '../../../src/schemas/train-sequences.ts'
import { severalProblems } from '../../../src/tools/data/several-problems.ts'

const item = {
  name: 'item',
  side: 'candidate',
  kind: 'vocabulary',
  min_count: 1,
  out_of_vocabulary: 'bucket',
  missing: 'error',
}
const user = { name: 'user', side: 'context', kind: 'integer', size: 9, out_of_vocabulary: 'bucket', missing: 'error' }
const list = { max: 5 }
const history = {
  ...{ name: 'history', side: 'context', kind: 'shared', table: 'item', out_of_vocabulary: 'drop', missing: 'error' },
  ...{ list, sequence: 'views' },
}
const ages = {
  name: 'ages',
  side: 'context',
  kind: 'numeric',
  scaling: 'log1p',
  missing: 'error',
  list,
  sequence: 'views',
}
const image = { name: 'image', side: 'candidate', kind: 'vector', length: 3, missing: 'error' }
const fields = [item, user, history, ages, image]
const din = { name: 'views', attention: 'din', target: ['item'] }

const problemsOf = (fields: object[], sequences: object[] = [], isNew = true) =>
  severalProblems(fields as TrainField[], sequences as TrainSequence[], isNew).map(
    ({ path, message }) => `${path} ${message}`,
  )

t.test('lists, vectors, shared tables and sequences that fit together have no problem', async (t) => {
  for (const attention of ['din', 'multi_head', 'dot_product']) t.same(problemsOf(fields, [{ ...din, attention }]), [])
  t.same(problemsOf(fields, [{ name: 'views', attention: 'none' }]), [])
  t.same(problemsOf(fields), [])
})

t.test('options without an effect are named with what they need', async (t) => {
  const changed = (field: object) => problemsOf([item, user, { ...history, ...field }, ages], [din])
  t.same(problemsOf([{ ...item, pooling: 'sum' }]), ['/fields/0/pooling has no effect without list'])
  t.same(problemsOf([{ ...item, weights: 'w' }]), ['/fields/0/weights has no effect without list'])
  t.same(changed({ weights: 'w' }), ['/fields/2/weights has no effect without weighted: true in list'])
  t.same(changed({ pooling: 'max' }), ['/fields/2/pooling has no effect where the sequence "views" has attention'])
  t.match(changed({ expression: 'item' }), [/^\/fields\/2\/expression yields one value, and the field is a list/])
  t.same(problemsOf(fields, [{ name: 'views', attention: 'none', target: ['item'], heads: 2 }]), [
    '/sequences/0/target has no effect with attention: none',
    '/sequences/0/heads has no effect with attention: none',
  ])
  t.same(problemsOf(fields, [{ ...din, heads: 2 }]), ['/sequences/0/heads has no effect with attention: din'])
  t.same(problemsOf(fields, [{ ...din, attention: 'multi_head', dims: [4] }]), [
    '/sequences/0/dims has no effect with attention: multi_head',
  ])
})

t.test('a list of numbers needs ids beside it, except in a version that has it already', async (t) => {
  const alone = { ...ages, sequence: undefined }
  t.match(problemsOf([item, alone]), [/^\/fields\/1\/sequence must name a sequence that has a list of ids, too/])
  t.match(problemsOf([item, { ...ages, bins: 4 }, history]), [/^\/fields\/1\/bins are those of one number/])
  t.same(problemsOf([item, alone], [], false), [])
})

t.test('time decay has ages, in a unit, and half-lives', (t) => {
  const decay = { name: 'views', attention: 'time_decay', target: ['item'], ages: 'age', half_lives: [1, 7] }
  const raw = { ...ages, name: 'age', scaling: 'none' }
  const found = (sequence: object, age: object = raw) => problemsOf([item, user, history, age], [sequence])
  t.same(found(decay), [])
  t.same(found({ ...decay, heads: 3, dims: [4] }), ['/sequences/0/dims has no effect with attention: time_decay'])
  t.same(found({ ...decay, ages: undefined, half_lives: undefined }), [
    '/sequences/0/ages is a list of numbers of the sequence: how long ago each item was',
    '/sequences/0/half_lives says after how long items count half, in the unit of ages',
  ])
  t.match(found({ ...decay, ages: 'history' }), [
    /^\/sequences\/0\/ages "history" is no list of numbers of the sequence; it has age/,
  ])
  t.same(found(decay, { ...raw, scaling: 'log1p' }), [
    '/sequences/0/ages "age" must have scaling: none, since half_lives are in its unit',
  ])
  t.same(found({ ...decay, attention: 'dot_product' }), [
    '/sequences/0/ages has no effect with attention: dot_product',
    '/sequences/0/half_lives has no effect with attention: dot_product',
  ])
  t.end()
})

t.test('a list needs a row for padding in the table that it shares', async (t) => {
  t.match(problemsOf([{ ...item, out_of_vocabulary: 'error' }, history]), [
    /^\/fields\/1\/table "item" has no row for padding, whose id would be that of its first value/,
  ])
})

t.test('a sequence that contradicts its fields is named', async (t) => {
  t.match(problemsOf(fields, [{ ...din, name: 'view' }]), [
    /^\/sequences\/0\/name no field is of the sequence "view"; did you mean "views"\?/,
  ])
  t.same(problemsOf(fields, [din, din]), ['/sequences/1/name "views" is already used'])
  t.same(problemsOf(fields, [{ ...din, target: undefined }]), ['/sequences/0/target is what din compares items with'])
  const weighted = { ...history, list: { ...list, weighted: true } }
  t.match(problemsOf([item, user, weighted, ages], [din]), [
    /^\/sequences\/0\/attention weighs items itself, and history/,
  ])
})

t.test('a target that is no value of the table of a list is named', async (t) => {
  const target = (...names: string[]) => problemsOf(fields, [{ ...din, target: names }])
  t.match(target('itm'), [/^\/sequences\/0\/target\/0 "itm" is not a field; did you mean "item"\?/])
  t.match(target('user'), [
    /^\/sequences\/0\/target\/0 "user" is of another table than the lists of the sequence, whose tables are those of item: let one of them share it \(kind: shared, table: user\)$/,
  ])
  t.match(target('image'), [/"image" is a vector field: items are compared with one id/])
  t.match(target('history'), [/"history" is a list: items are compared with one id/])
  const last = { ...history, name: 'last', list: undefined, sequence: undefined, out_of_vocabulary: 'bucket' }
  t.match(problemsOf([...fields, last], [{ ...din, target: ['item', 'last'] }]), [
    /^\/sequences\/0\/target\/1 "last" is compared with a list that another target is compared with$/,
  ])
})

t.test('contradictions among tables are those of a manifest', async (t) => {
  t.match(problemsOf([item, { ...history, out_of_vocabulary: undefined }]), [
    /^\/fields\/1\/out_of_vocabulary is bucket, whose id, 0, is that of padding/,
  ])
  t.match(problemsOf([item, { ...history, table: 'itm' }]), [/^\/fields\/1\/table "itm" is not a field/])
  t.match(problemsOf([{ ...item, out_of_vocabulary: 'drop' }]), [/^\/fields\/0\/out_of_vocabulary is drop, which/])
})
