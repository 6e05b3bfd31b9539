import t from 'tap'
import { describeKey, describeStored, textOfStored } from '../../src/console/pages/playground/state/describe-field.ts'
import {
  byKeys,
  candidateKey,
  inColumns,
  noteOf,
  type Stored,
  storedOf,
  storedValue,
  withBareKeys,
  withKeys,
  withStored,
} from '../../src/console/pages/playground/state/entities.ts'
import { bodyOf, candidatesOf, type Form, nameOf, optionsFor } from '../../src/console/pages/playground/state/form.ts'
import type { Entity, Field, Values } from '../../src/console/pages/playground/state/model.ts'
import { readPasted } from '../../src/console/pages/playground/state/paste.ts'
import { snippetOf } from '../../src/console/pages/playground/state/snippets.ts'
import { fitForm } from '../../src/console/pages/playground/state/state-codec.ts'

/* Forms of models whose features come from tables. */

const field = (name: string, side: Field['side'], more: Partial<Field> = {}): Field => ({
  ...{ name, side, kind: 'numeric', type: 'number', required: true, missing: 'error', encoding: {} },
  ...more,
})
const ad: Entity = {
  ...{ name: 'ad', key: 'ad_id', side: 'candidate', features: ['campaign', 'price'], unknown: 'leave_out' },
  table: { name: 'ads' },
  first_keys: ['a', 'b'],
}
const user: Entity = { name: 'user', key: 'user_id', side: 'context', features: ['country'], unknown: 'defaults' }
const modelFields = [
  field('country', 'context', { type: 'string', required: false, missing: 'default', default: 'US' }),
  field('hour', 'context'),
  field('campaign', 'candidate', { type: 'string' }),
  field('price', 'candidate'),
  field('views', 'cross', { required: false, missing: 'default', default: 1 }),
]
const fields = withKeys(modelFields, [ad, user])
const fieldCalled = (name: string) => fields.find((one) => one.name === name)!

const formOf = (context: Values, ...rows: Values[]): Form => ({ context, candidates: candidatesOf(rows), moved: [] })
const note = (key: string, fetched: object, defaults: object = {}, found = true) => ({
  ...{ key, found },
  fetched: { ...fetched },
  defaults: { ...defaults },
})

const asked = formOf({ user_id: 'u1', hour: 3 }, { ad_id: 'a' }, { ad_id: 7, price: 9 }, { campaign: 'c', price: 1 })
const stored: Stored = storedOf(
  {
    context: { user: note('u1', {}, { country: 'US' }) },
    candidates: [{ ad: note('a', { campaign: 'c1', price: 1.5 }) }, { ad: note('7', { campaign: 'c7' }) }, null],
  },
  asked.candidates,
)

t.test('keys are fields of the form, and what a table has is not required', async (t) => {
  t.same(
    fields.map(({ name, side, required }) => [name, side, required]),
    [
      ['ad_id', 'candidate', false],
      ['user_id', 'context', false],
      ['country', 'context', false],
      ['hour', 'context', true],
      ['campaign', 'candidate', false],
      ['price', 'candidate', false],
      ['views', 'cross', false],
    ],
  )
  t.equal(candidateKey(fields), 'ad_id')
  t.equal(withKeys(modelFields, undefined), modelFields, 'without entities nothing changes')
  t.equal(candidateKey(modelFields), undefined)
  const own = withKeys([field('ad_id', 'candidate'), ...modelFields], [ad])
  t.equal(own.length, modelFields.length + 1, 'a key may be a field of the model')
  t.match(own[0], { name: 'ad_id', type: 'number', required: true, keyOf: ad })
  t.same(optionsFor([]), { partial: true, unknown: true })
  t.same(optionsFor([], true), { partial: true, unknown: true, features: true })
})

t.test('a form begins with the first keys, or those that it had', async (t) => {
  const drawn = formOf(
    { country: 'DE', hour: 4 },
    { id: 'ad-1', bid: 1, campaign: 'x', price: 2, views: 3 },
    { id: 'ad-2', bid: 1, campaign: 'y', price: 2, views: 4 },
    { id: 'ad-3', bid: 1, campaign: 'z', price: 2, views: 5 },
  )
  const first = byKeys(drawn, [ad, user])
  t.same(first, formOf({ country: 'DE', hour: 4 }, { ad_id: 'a', views: 3 }, { ad_id: 'b', views: 4 }))
  t.same(byKeys(drawn, [ad, user], asked), {
    ...formOf({ user_id: 'u1', hour: 4 }, { ad_id: 'a', views: 3 }, { ad_id: 7, views: 4 }),
  })
  t.same(byKeys(drawn, [{ ...ad, first_keys: [] }, user]), drawn, 'no key is known')
  t.same(byKeys(drawn, []), drawn)
})

t.test('stored values are those of the key that the form has now', async (t) => {
  const [first, second, third] = asked.candidates
  const storedIn = (name: string, { key, values }: { key: number; values: Values }) =>
    storedValue(fieldCalled(name), values, stored.candidates.get(key))
  t.same(storedIn('price', first!), { value: 1.5, isDefault: false })
  t.same(storedIn('campaign', second!), { value: 'c7', isDefault: false }, 'a number is the same key as its text')
  t.equal(storedIn('price', second!), undefined, 'it is sent')
  t.equal(storedIn('price', third!), undefined)
  t.equal(
    storedIn('price', { key: first!.key, values: { ad_id: 'b' } }),
    undefined,
    'of another key nothing is known yet',
  )
  t.equal(storedIn('views', first!), undefined, 'no table has it')
  t.same(storedValue(fieldCalled('country'), asked.context, stored.context), { value: 'US', isDefault: true })
  const none = { ad: note('a', {}, { price: null }) }
  t.same(storedValue(fieldCalled('price'), first!.values, none), { value: undefined, isDefault: true })
  const gone = { ad: note('a', {}, { price: 0 }, false), user: note('u1', {}, { country: 'US' }, false) }
  t.equal(storedValue(fieldCalled('price'), first!.values, gone), undefined, 'it is left out')
  t.same(storedValue(fieldCalled('country'), asked.context, gone), { value: 'US', isDefault: true })
  t.equal(noteOf(ad, { ad_id: 'constructor' }, {}), undefined)
  t.same(storedOf(undefined, asked.candidates), { context: {}, candidates: new Map() })
})

t.test('what counts is said in words', async (t) => {
  const [price, country] = [fieldCalled('price'), fieldCalled('country')]
  t.equal(describeStored(price, { value: 1, isDefault: false }, true), 'stored in the table')
  t.equal(describeStored(price, { value: undefined, isDefault: true }, true), 'not stored: enter a value')
  t.equal(describeStored(price, undefined, false), 'not stored: enter a value')
  t.equal(describeStored(price, undefined, true), 'not sent', 'its answer is still to come')
  t.equal(describeStored(country, { value: 'US', isDefault: true }, true), 'not stored: counts as US')
  const key = fieldCalled('ad_id')
  t.equal(describeKey(key, undefined), 'key of 2 fields in the table ads')
  t.match(describeKey(key, note('a', {})), /; found$/)
  t.match(describeKey(key, note('a', {}, {}, false)), /; the table does not have it$/)
  t.same([textOfStored(1.5), textOfStored(['x', 'y']), textOfStored(undefined)], ['1.5', 'x, y', undefined])
})

t.test('values take the place of keys where a request needs them', async (t) => {
  t.same(withStored(asked, fields, stored), {
    ...formOf({ hour: 3 }, { campaign: 'c1', price: 1.5 }, { campaign: 'c7', price: 9 }, { campaign: 'c', price: 1 }),
  })
  t.equal(withStored(asked, modelFields, stored), asked)
  const keyed = { ...asked, candidates: asked.candidates.slice(0, 2) }
  t.same(
    inColumns(keyed, fields, stored),
    formOf(asked.context, { ad_id: 'a', price: 1.5 }, { ad_id: 7, price: 9 }),
    'a field that only some send is filled from the table',
  )
  t.same(
    inColumns(asked, fields, stored).candidates.map(({ values }) => values),
    withStored(asked, fields, stored).candidates.map(({ values }) => values),
    'where only some have a key, none is sent',
  )
  const plain = formOf({}, { campaign: 'c', price: 1 })
  t.equal(inColumns(plain, fields, stored), plain)
})

t.test('the request is by id, in every language', async (t) => {
  const target = { model: 'm' }
  const body = withBareKeys(bodyOf(target, asked), 'ad_id')
  t.same(body.candidates, ['a', { ad_id: 7, price: 9 }, { campaign: 'c', price: 1 }])
  const plain = bodyOf(target, asked)
  t.equal(withBareKeys(plain, undefined), plain)
  const caller = { url: 'http://localhost', hasKey: false }
  t.match(snippetOf('curl', caller, body, fields), '"candidates": [\n    "a",\n    {')
  const keyed = { ...asked, candidates: asked.candidates.slice(0, 2) }
  const triton = snippetOf('triton', caller, bodyOf(target, inColumns(keyed, fields, stored)), fields)
  t.match(triton, '("ad_id", "BYTES", np.array(["a", 7], dtype=object))')
  t.match(triton, '("user_id", "BYTES", np.array(["u1"], dtype=object))')
  t.match(triton, '("price", "FP64", np.array([1.5, 9], dtype=np.float64))')
  t.notMatch(triton, '"campaign"', 'the table has it')
})

t.test('pasted and linked requests may be by id', async (t) => {
  t.same(readPasted('{"context":{"user_id":"u1"},"candidates":["a",7,{"ad_id":"b","price":2}]}', fields), {
    ...{ context: { user_id: 'u1' }, moved: [], notes: [] },
    candidates: [{ ad_id: 'a' }, { ad_id: 7 }, { ad_id: 'b', price: 2 }],
  })
  t.same(readPasted('["a"]', fields).candidates, [{ ad_id: 'a' }])
  t.same(readPasted('ad_id,price\n17,2', fields).candidates, [{ ad_id: '17', price: 2 }])
  t.throws(() => readPasted('["a"]', modelFields), /must be an object/)
  t.same(fitForm(asked, fields).leftOut, [])
  const [named, keyed, neither] = candidatesOf([{ id: 'x', ad_id: 'a' }, { ad_id: 'a' }, { ad_id: '' }])
  t.same([nameOf(named!, 0, 'ad_id'), nameOf(keyed!, 1, 'ad_id'), nameOf(neither!, 2, 'ad_id')], ['x', 'a', '#3'])
})
