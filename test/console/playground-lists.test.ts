import t from 'tap'
import { describeField } from '../../src/console/pages/playground/state/describe-field.ts'
import { drawForm, drawValue, rowsOf } from '../../src/console/pages/playground/state/draw.ts'
import { candidatesOf, mapProblems, sorted } from '../../src/console/pages/playground/state/form.ts'
import {
  bySequence,
  fatesOf,
  unknownIn,
  weightsOf,
  withSplice,
  withWeight,
} from '../../src/console/pages/playground/state/lists.ts'
import {
  type Field,
  itemsOf,
  readItems,
  type Values,
  valueAt,
  valueOfCell,
} from '../../src/console/pages/playground/state/model.ts'
import { readJson, readPasted } from '../../src/console/pages/playground/state/paste.ts'
import { probabilityOf } from '../../src/console/pages/playground/state/ranking.ts'
import {
  effectsOf,
  meanEffects,
  planExchanged,
  planMissing,
  planOther,
} from '../../src/console/pages/playground/state/replace.ts'
import { snippetOf } from '../../src/console/pages/playground/state/snippets.ts'
import { jsonText } from '../../src/console/parts/json-text.ts'

/* Lists, sequences and vectors in the playground, as far as they need no browser. */

const field = (name: string, more: Partial<Field>): Field => ({
  name,
  side: 'candidate',
  kind: 'vocabulary',
  type: 'string',
  required: false,
  missing: 'default',
  default: [],
  encoding: {},
  ...more,
})
const values = { count: 3, first: ['a', 'b', 'c'] }
const view = { side: 'context', list: { max: 3, keep: 'last' }, sequence: 'views', out_of_vocabulary: 'drop' } as const
const history = field('history', { ...view, values, table: 'item' })
const ages = field('ages', { ...view, kind: 'numeric', type: 'number' })
const tags = field('tags', { list: { max: 2, weighted: true }, out_of_vocabulary: 'bucket', values, required: true })
const image = field('image', { kind: 'vector', type: 'number', length: 2, required: true })
const item = field('item', { values, required: true })
const fields = [history, tags, ages, image, item]
const sequence = [history, ages]
const none = new Map()

t.test('lists of a sequence stand side by side, at the place of the first', async (t) => {
  t.same(
    bySequence(fields).map((group) => group.map(({ name }) => name)),
    [['history', 'ages'], ['tags'], ['image'], ['item']],
  )
})

t.test('what is added to a list, or removed, is so in all lists of its sequence', async (t) => {
  const before = { history: ['a', 'b'], ages: [1, 2], item: 'c' }
  const edit = (at: number, count: number, ...values: string[]) =>
    withSplice(before, history, { at, count, values }, sequence)
  t.same(edit(2, 0, 'c'), { history: ['a', 'b', 'c'], ages: [1, 2, 2], item: 'c' })
  t.same(edit(0, 1), { history: ['b'], ages: [2], item: 'c' })
  t.same(edit(0, 1, 'c'), { history: ['c', 'b'], ages: [1, 2], item: 'c' }, 'another value is the same item')
  t.same(edit(0, 1, 'c', 'a'), { history: ['c', 'a', 'b'], ages: [1, 2, 2], item: 'c' })
  t.same(edit(0, 2, 'c'), { history: ['c'], ages: [1], item: 'c' })
  const added = withSplice({}, history, { at: 0, count: 0, values: ['a', 'b'] }, sequence)
  t.equal(itemsOf(valueAt(added, 'ages')).length, 2, 'one that was not sent is so with it')
  const repaired = withSplice({ history: ['a', 'b'], ages: [7] }, history, { at: 2, count: 0, values: ['c'] }, sequence)
  t.same(repaired.ages, [7, 7, 7], 'one that was shorter is filled up')
  t.same(withSplice(before, ages, { at: 0, count: 1, values: [] }, sequence).history, ['b'])
})

t.test('each value of a weighted list has a weight, 1 where none is given', async (t) => {
  const one = withSplice({}, tags, { at: 0, count: 0, values: ['a', 'b'] }, [tags])
  t.same(one, { tags: { values: ['a', 'b'], weights: [1, 1] } })
  const two = withWeight(one, tags, 0, 0)
  t.same(weightsOf(two.tags), [0, 1])
  const edited = (at: number, count: number, ...values: string[]) =>
    withSplice(two, tags, { at, count, values }, [tags]).tags
  t.same(edited(0, 1, 'c'), { values: ['c', 'b'], weights: [0, 1] }, 'it stays where the value is another')
  t.same(edited(0, 1), { values: ['b'], weights: [1] })
  t.same(edited(0, 0, 'c'), { values: ['c', 'a', 'b'], weights: [1, 0, 1] })
  const pasted = readItems('{"values": ["c"], "weights": [0.5]}', 'string')
  t.same(withSplice({}, tags, { at: 0, count: 0, ...(pasted as unknown as { values: string[] }) }, [tags]).tags, pasted)
  t.same(withWeight({ tags: ['a', 'b'] }, tags, 1, 3).tags, { values: ['a', 'b'], weights: [1, 3] })
})

t.test('texts become lists', async (t) => {
  t.same(readItems('a, b,c', 'string'), ['a', 'b', 'c'])
  t.same(readItems('a b\nc', 'string'), ['a b', 'c'])
  t.same(readItems(' ["a, b", 3]', 'string'), ['a, b', 3])
  t.same(readItems('1, 2.5 x', 'number'), [1, 2.5, 'x'])
  t.same(readItems('[1, 2', 'number'), ['[1', 2], 'JSON that is not complete is explained by the server')
  t.equal(valueOfCell('', tags), undefined)
  t.same(valueOfCell('[]', tags), [])
  t.same(valueOfCell('["a"]', item), '["a"]', 'a field of one value takes it as it is')
})

t.test('what becomes of a value', async (t) => {
  const given: Values = { history: ['a', 'x', 'b', 'c', 'a'], ages: [1, 2, 3, 4, 5], tags: ['a', 'x', 'b'], item: 'x' }
  const unknown = unknownIn(given, { unknown: ['history[1]', 'tags[1]', 'item', 'ages[9]', 'other[0]'] })
  t.same(Object.fromEntries([...unknown].map(([name, items]) => [name, [...items]])), {
    history: ['x'],
    tags: ['x'],
    item: ['x'],
  })
  t.same(fatesOf(history, given, sequence, unknown), {
    of: ['cut', 'dropped', undefined, undefined, undefined],
    dropped: 1,
    cut: 1,
  })
  t.same(fatesOf(ages, given, sequence, unknown).of[1], 'dropped', 'with the value beside it')
  t.same(fatesOf(tags, given, [tags], unknown), { of: [undefined, 'unknown', 'cut'], dropped: 0, cut: 1 })
  t.same(fatesOf(tags, { tags: ['a'] }, [tags], none), { of: [undefined], dropped: 0, cut: 0 })
  t.equal(unknownIn({ 'tags[1]': 'x', tags: ['a', 'b'] }, { unknown: ['tags[1]'] }).has('tags'), false)
})

t.test('problems name the place in a list', async (t) => {
  const { context, candidates } = mapProblems([
    { path: '/context/history/2', message: 'must be a string' },
    { path: '/candidates/1/tags/weights/0', message: 'must be a finite number' },
    { path: '/candidates/1/image', message: 'has 1 numbers, not 2' },
  ])
  t.equal(context.get('history'), 'value 3 must be a string')
  t.equal(candidates.get(1)?.get('tags'), 'weight 1 must be a finite number')
  t.equal(candidates.get(1)?.get('image'), 'has 1 numbers, not 2')
})

t.test('lists are pasted from CSV, rows and columns', async (t) => {
  const csv = readPasted('id,tags,image,history\nx,"[""a"",""b""]","[1, 2]",\ny,"a, c","0.5 1",[]', fields)
  t.same(csv.candidates, [
    { id: 'x', tags: ['a', 'b'], image: [1, 2] },
    { id: 'y', tags: ['a', 'c'], image: [0.5, 1], history: [] },
  ])
  const weighted = { values: ['a', 'b'], weights: [1, 0.5] }
  t.same(readJson([{ tags: weighted, image: [1, null] }], fields).candidates, [{ tags: weighted, image: [1, 'null'] }])
  const columns = {
    tags: { values: ['a', 'b', 'c'], offsets: [0, 2, 3], weights: [1, 2, 3] },
    history: { values: ['a'], offsets: [0, 0, 1] },
    image: [[1, 2], null],
  }
  t.same(readJson({ candidates: columns }, fields).candidates, [
    { tags: { values: ['a', 'b'], weights: [1, 2] }, history: [], image: [1, 2] },
    { tags: { values: ['c'], weights: [3] }, history: ['a'] },
  ])
  t.throws(() => readJson({ candidates: { tags: { values: [] } } }, fields), /values and offsets/)
})

t.test('drawn lists have plausible lengths, equal ones in a sequence', async (t) => {
  const long = { ...history, list: { max: 50 } }
  const rows = rowsOf([long, { ...ages, list: { max: 50 } }, tags, image], { rows: [], reference: new Map() }, 30)
  const lengths = rows.map((row) => itemsOf(row.history).length)
  t.same(
    rows.map((row) => itemsOf(row.ages).length),
    lengths,
  )
  t.ok(new Set(lengths).size > 3 && Math.min(...lengths) >= 1 && Math.max(...lengths) <= 8, `${lengths}`)
  t.ok(rows.every(({ tags }) => itemsOf(tags).length <= 2 && weightsOf(tags).length === itemsOf(tags).length))
  t.ok(rows.every(({ image }) => itemsOf(image).length === 2))
  const bins = [{ label: 'c', value: 'c', share: 1 }]
  t.same(
    drawValue(history, bins, () => 0.5, 2),
    ['c', 'c'],
    'its values are as frequent as in the reference',
  )
  t.ok('tags' in drawForm(fields, [], new Map(), () => 0.5).candidates[0]!.values)
})

t.test('a list is one field of what matters, and a sequence is too', async (t) => {
  const row = { history: ['a', 'b'], ages: [1, 2], tags: ['a'], image: [1, 2], item: 'a' }
  const { requests, unknown } = planMissing({ model: 'm' }, row, fields, new Map())
  const { substitutes, body } = requests[0]!
  t.same(
    substitutes.map(({ field, kind, title }) => [field, kind, title]),
    [
      ['history', 'default', 'an empty list'],
      ['tags', 'empty', 'an empty list'],
      ['image', 'empty', 'zeros'],
    ],
  )
  t.same(unknown, ['item'])
  const { item: _, ...base } = row
  t.same(body.candidates, [base, { tags: ['a'], image: [1, 2] }, { ...base, tags: [] }, { ...base, image: [0, 0] }])
  const other = { ...row, history: ['c'], ages: [9], tags: ['a'] }
  const exchanged = planOther({ model: 'm' }, row, other, fields).requests[0]!
  t.same(exchanged.body.candidates, [
    { history: ['a', 'b'], ages: [1, 2] },
    { history: ['c'], ages: [9] },
  ])
  t.equal(exchanged.substitutes.length, 1, 'equal lists are no difference')
  const plans = planExchanged({ model: 'm' }, [row, other], fields, 1)
  const effects = plans.flatMap(({ requests }) =>
    effectsOf(requests[0]!, [{ ctr: 0.5 }, { ctr: 0.3 }], (prediction) => probabilityOf(prediction, 'ctr')),
  )
  const [first] = meanEffects(effects, fields, { pairs: 2, rows: 2 })
  t.same([first?.field, first?.size.toFixed(2)], ['history, ages', '0.20'])
})

t.test('candidates are sorted by the length of a list', async (t) => {
  const rows = candidatesOf([{ tags: ['a', 'b'] }, { tags: { values: [], weights: [] } }, { tags: ['z'] }])
  t.same(
    sorted(rows, ({ values }) => valueAt(values, 'tags'), false).map(({ key }) => key),
    [2, 3, 1],
  )
})

t.test('descriptions', async (t) => {
  t.equal(describeField(history), 'list of at most 3 values; each is one of 3 values')
  t.equal(describeField(ages), 'list of at most 3 values; each is a number')
  t.match(describeField(tags), 'with a weight each')
  t.equal(describeField(image), '2 numbers')
})

t.test('programs', async (t) => {
  const caller = { url: 'http://h', hasKey: false }
  const body = {
    model: 'm',
    context: { history: ['a', 'b'] },
    candidates: [
      { tags: { values: ['a'], weights: [0.5] }, image: [1, 2] },
      { tags: ['b', 'c'], image: [3, 4] },
    ],
  }
  const curl = snippetOf('curl', caller, body, fields)
  t.match(curl, '"history": ["a", "b"]', 'a list has one line')
  t.same(JSON.parse(curl.split("<<'JSON'\n")[1]!.split('\nJSON')[0]!), body)
  t.match(snippetOf('requests', caller, body, fields), '"weights": [0.5],')
  const lines = (body: Parameters<typeof snippetOf>[2]) =>
    snippetOf('triton', caller, body, fields)
      .split('\n')
      .filter((line) => line.startsWith('    ('))
      .map((line) => line.trim())
  t.same(lines(body), [
    '("history", "BYTES", np.array([["a", "b"]], dtype=object)),',
    '("tags", "BYTES", np.array(["a", "b", "c"], dtype=object)),',
    '("tags.offsets", "INT64", np.array([0, 1, 3], dtype=np.int64)),',
    '("tags.weights", "FP64", np.array([0.5, 1, 1], dtype=np.float64)),',
    '("image", "FP64", np.array([[1, 2], [3, 4]], dtype=np.float64)),',
  ])
  const moved = { model: 'm', context: { image: [1, 2] }, candidates: [{ item: 'a' }, { item: 'b' }] }
  t.match(lines(moved)[0], '[[1, 2], [1, 2]]', "a candidate's vector is repeated for each")
  t.same(
    jsonText({ a: [1, 2, 3, 4], b: [[1], {}], c: null }, undefined, 2),
    '{\n  "a": [1, 2, … + 2],\n  "b": [\n    [1],\n    {}\n  ],\n  "c": null\n}',
  )
})
