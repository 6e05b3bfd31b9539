import t from 'tap'
import { drawForm, drawValue, exampleInputs, firstForm, rowsOf } from '../../src/console/pages/playground/state/draw.ts'
import { firstModel } from '../../src/console/pages/playground/state/first-model.ts'
import {
  bodyOf,
  candidatesOf,
  type Form,
  mapProblems,
  nameOf,
  placeOf,
  placesOf,
  sorted,
} from '../../src/console/pages/playground/state/form.ts'
import { type Field, valueAt, valueOfText, withValue } from '../../src/console/pages/playground/state/model.ts'
import { readCsv, readJson, readPasted } from '../../src/console/pages/playground/state/paste.ts'
import {
  changeOf,
  earningTasks,
  movementOf,
  type Prediction,
  placeToLookInto,
  probabilityOf,
  ranksOf,
  scoreNames,
  scoreOf,
} from '../../src/console/pages/playground/state/ranking.ts'
import {
  bySize,
  effectOfBid,
  effectsOf,
  fieldsPerRequest,
  meanEffects,
  mostFields,
  planExchanged,
  planMissing,
  planOther,
  typicalOf,
} from '../../src/console/pages/playground/state/replace.ts'
import {
  decodeBody,
  decodeShared,
  encodeBody,
  encodeShared,
  fitForm,
} from '../../src/console/pages/playground/state/state-codec.ts'
import { fc, randomCases } from '../support/cases.ts'

/* The parts of the playground that need no browser. */

const field = (name: string, more: Partial<Field> = {}): Field => ({
  name,
  side: 'candidate',
  kind: 'numeric',
  type: 'number',
  required: true,
  missing: 'error',
  encoding: {},
  ...more,
})
const country = field('country', { side: 'context', kind: 'vocabulary', type: 'string' })
const hour = field('hour', { side: 'context', kind: 'integer', type: 'integer', minimum: 0, maximum: 23 })
const campaign = field('campaign', { kind: 'hash', type: 'string' })
const price = field('price')
const views = field('views', { side: 'cross', required: false, missing: 'default', default: 1 })
const fields = [country, hour, campaign, price, views]

/** Text of any kind, with what CSV, shells and markup take for their own. */
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('"', ',', ';', '\t', '\n', '\r\n', "'", '\\', '<', '$', '`', ' ', 'a', 'ש') }),
)

t.test('the playground begins with the default model, else with ads-history, else with any that answers', (t) => {
  const models = ['ads-funnel', 'ads-history', 'shop'].map((name) => ({ name, answers: name !== 'ads-funnel' }))
  t.equal(firstModel(models), 'ads-history')
  const withDefault = (name: string) => models.map((one) => ({ ...one, default: one.name === name }))
  const implied = withDefault('ads-funnel').map((one) => ({ ...one, default_implied: one.default }))
  t.equal(firstModel(withDefault('shop')), 'shop')
  t.equal(firstModel(withDefault('ads-funnel')), 'ads-funnel', 'which is configured')
  t.equal(firstModel(implied), 'ads-history')
  t.equal(firstModel(implied.filter(({ name }) => name !== 'ads-history')), 'ads-funnel')
  t.equal(firstModel(models.filter(({ name }) => name !== 'ads-history')), 'shop')
  t.equal(firstModel(models.slice(0, 1)), undefined)
  t.end()
})

t.test('CSV', async (t) => {
  t.test('is read back as it was written, whatever the values', async () => {
    fc.assert(
      fc.property(
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.tuple(anyText, anyText), { minLength: 1 }),
        (delimiter, line, rows) => {
          const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
          const text = ['one', 'two']
            .join(delimiter)
            .concat(line, rows.map((row) => row.map(quoted).join(delimiter)).join(line))
          const read = readCsv(text)
          return JSON.stringify(read) === JSON.stringify({ header: ['one', 'two'], rows })
        },
      ),
    )
  })
  t.test('as spreadsheets and editors write it', async (t) => {
    t.same(readCsv('\uFEFFid,price\r\na,1\r\n\r\nb,\r\n'), {
      header: ['id', 'price'],
      rows: [
        ['a', '1'],
        ['b', ''],
      ],
    })
    t.same(readCsv('id;"a,b";c\n1;2;3').header, ['id', 'a,b', 'c'], 'the delimiter is that of the header')
    t.same(readCsv('id,x\na,').rows, [['a', '']], 'a delimiter at the end begins a value')
  })
  t.test('that is none is rejected', async (t) => {
    t.throws(() => readCsv(''), /nothing to read/)
    t.throws(() => readCsv('id,x\n"a,1'), /not closed/)
    t.throws(() => readCsv('id,x\na,1,2'), /Row 1 has 3 values/)
    t.throws(() => readCsv('id,id\na,1'), /Two columns/)
  })
})

t.test('what is pasted', async (t) => {
  t.test('a table: values by the type of their field, unknown columns left out', async (t) => {
    const pasted = readPasted('id,bid,price,campaign,other\n7,0.5,1.25,9,x\n8,,abc,,y', fields)
    t.same(pasted.candidates, [
      { id: '7', bid: 0.5, price: 1.25, campaign: '9' },
      { id: '8', price: 'abc' },
    ])
    t.match(pasted.notes, [/other/])
    t.notOk(pasted.context)
  })
  t.test('a context field of the candidates moves there', async (t) => {
    const { moved, candidates } = readPasted('country,price\nDE,1\nFR,2', fields)
    t.same(moved, ['country'])
    t.same(candidates[1], { country: 'FR', price: 2 })
    const { context, candidates: columns } = placesOf(fields, moved)
    t.same(
      context.map(({ name }) => name),
      ['hour'],
    )
    t.ok(columns.includes(country))
  })
  t.test('an array, one candidate, a body of rows and one of columns', async (t) => {
    t.same(readPasted('[{"price":1},{"price":null,"id":3}]', fields).candidates, [{ price: 1 }, { id: 3 }])
    t.same(readPasted('{"price":1}', fields).candidates, [{ price: 1 }])
    const rows = readPasted('{"model":"m","context":{"hour":3,"price":2},"candidates":[{"campaign":"c"}]}', fields)
    t.same([rows.context, rows.candidates, rows.moved], [{ hour: 3, price: 2 }, [{ campaign: 'c' }], ['price']])
    const columns = readPasted('{"candidates":{"id":["a","b"],"price":[1,null]}}', fields)
    t.same(columns.candidates, [{ id: 'a', price: 1 }, { id: 'b' }])
    t.same(readPasted('{"context":{"hour":3}}', fields).candidates, [{}], 'a context alone is one row')
  })
  t.test('what is neither is explained', async (t) => {
    t.throws(() => readPasted('  ', fields), /nothing to read/)
    t.throws(() => readPasted('[1, 2]', fields), /must be an object/)
    t.throws(() => readPasted('{"candidates": 3}', fields), /array/)
    t.throws(() => readPasted('[{]', fields), /not JSON/)
    t.throws(() => readPasted('{"sparse": [[1]]}', fields), /tensors/)
    t.throws(() => readPasted('hello', fields), /name the columns/)
    t.throws(() => readJson(3, fields), /neither/)
  })
  t.test('values of other types become texts, which the server rejects', async (t) => {
    t.same(readJson([{ price: true, campaign: { x: 1 } }], fields).candidates, [{ price: 'true', campaign: '{"x":1}' }])
  })
})

t.test('texts become values', async (t) => {
  t.equal(valueOfText('1.50', 'number'), 1.5)
  t.equal(valueOfText(' -2e3 ', 'number'), -2000)
  for (const text of ['1,5', 'abc', '1e999', '0x10', ' ', 'Infinity']) t.equal(valueOfText(text, 'number'), text)
  t.equal(valueOfText('7', 'string'), '7')
  t.equal(valueOfText('', 'string'), undefined)
  t.equal(valueAt({}, 'constructor'), undefined)
  t.same(Object.keys(withValue({ a: 1 }, '__proto__', 2)), ['a', '__proto__'])
})

const anyItem = fc.oneof(
  anyText,
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
)
const anyList = fc.array(anyItem, { maxLength: 3 })
const anyValue = fc.oneof(anyItem, anyList, fc.record({ values: anyList, weights: anyList }, { noNullPrototype: true }))
const anyValues = fc.dictionary(anyText, anyValue).map((values) => ({ ...values }))

t.test('a shared state', async (t) => {
  t.test('is read back as it was written, whatever its values and its length', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyValues,
        fc.array(anyValues, { maxLength: 30 }),
        fc.option(anyText, { nil: undefined }),
        async (context, rows, by) => {
          const form: Form = { context, candidates: candidatesOf(rows), moved: ['x'] }
          const chosen = form.candidates.at(-1)?.key
          const text = await encodeShared({ form, by, chosen, against: 'm/2' })
          if (!/^[jz][\w-]*$/.test(text)) return false
          const read = await decodeShared(text)
          const plain = (value: unknown) => JSON.stringify(value, (_, part) => (part === undefined ? null : part))
          // The order of a candidate's fields says nothing.
          const sortedRows = (form: Form) =>
            form.candidates.map(({ values }) => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)))
          return (
            plain([read.form.context, read.form.moved, read.by, read.chosen, read.against]) ===
              plain([context, ['x'], by, chosen, 'm/2']) && plain(sortedRows(read.form)) === plain(sortedRows(form))
          )
        },
      ),
      { numRuns: randomCases(100) },
    )
  })
  t.test('is compressed where it is long', async (t) => {
    const rows = Array.from({ length: 500 }, (_, i) => ({ id: `ad-${i}`, price: i % 7, campaign: `c${i % 20}` }))
    const text = await encodeShared({ form: { context: {}, candidates: candidatesOf(rows), moved: [] } })
    t.equal(text[0], 'z')
    t.ok(text.length < 6000, `${text.length}`)
    t.same((await decodeShared(text)).form.candidates.length, 500)
  })
  t.test('that is broken or foreign is rejected', async (t) => {
    const json = (value: unknown) => `j${encodeBody(value)}`
    for (const text of [
      '',
      'j',
      'q123',
      'j%%%',
      'zAAAA',
      json(3),
      json([]),
      json({ c: {}, n: [], r: 3 }),
      json({ c: { a: {} }, n: [], r: [] }),
      json({ c: {}, n: ['a'], r: [[{}]] }),
      json({ c: {}, n: ['a'], r: [[[[1]]]] }),
      json({ c: {}, n: ['a'], r: [[{ values: ['x'] }]] }),
      json({ c: {}, n: ['a'], r: [[1, 2]] }),
      json({ c: {}, n: [1], r: [] }),
      json({ c: {}, n: [], r: [], b: 4 }),
    ])
      await t.rejects(decodeShared(text), text)
  })
  t.test('that unpacks to more than memory should hold is rejected', async (t) => {
    const bomb = new Blob([new Uint8Array(20 << 20)]).stream().pipeThrough(new CompressionStream('deflate-raw'))
    const bytes = Buffer.from(await new Response(bomb as ReadableStream).arrayBuffer())
    await t.rejects(decodeShared(`z${bytes.toString('base64url')}`), /too large/)
  })
  t.test('a body of another page', async (t) => {
    const body = { model: 'm', candidates: [{ name: 'é ש <b>' }] }
    t.same(decodeBody(encodeBody(body)), body)
    t.same(decodeBody(Buffer.from(JSON.stringify(body)).toString('base64url')), body)
    t.throws(() => decodeBody('%'))
  })
  t.test('fields that a model does not have are left out, and named', async (t) => {
    const form = { context: { hour: 1, old: 2 }, candidates: candidatesOf([{ id: 'a', gone: 1 }]), moved: ['old'] }
    t.same(fitForm(form, fields), {
      form: { context: { hour: 1 }, candidates: [{ key: 1, values: { id: 'a' } }], moved: [] },
      leftOut: ['old', 'gone'],
    })
  })
})

t.test('candidates', async (t) => {
  const candidates = candidatesOf([{ price: 3 }, { id: 'a10', price: 1 }, { id: 'a9' }, { id: '', price: 2 }])
  t.same(
    candidates.map((one, i) => nameOf(one, i)),
    ['#1', 'a10', 'a9', '#4'],
  )
  const by = (name: string, descending = false) =>
    sorted(candidates, ({ values }) => valueAt(values, name), descending).map(({ key }) => key)
  t.same(by('price'), [2, 4, 1, 3], 'those without the value last')
  t.same(by('price', true), [1, 4, 2, 3])
  t.same(by('id'), [4, 3, 2, 1], 'numbers within texts count as numbers')
  t.same(bodyOf({ model: 'm' }, { context: {}, candidates: candidatesOf([{ price: 1 }]), moved: [] }), {
    model: 'm',
    candidates: [{ price: 1 }],
  })
})

t.test('ranks', async (t) => {
  t.same(ranksOf([0.1, undefined, 0.3, 0.1]), [2, undefined, 1, 3], 'ties keep their order')
  t.equal(movementOf({ rank: 3 }, 1), 2)
  t.equal(movementOf({ rank: undefined }, 1), undefined)
  t.ok(Math.abs(changeOf({ prediction: { ctr: 0.1 } }, { ctr: 0.3 }, 'ctr')! - 0.2) < 1e-9)
  t.equal(changeOf({ prediction: { ctr: 0.1 } }, { ctr: 0.1000001 }, 'ctr'), undefined, 'noise of float32')
  t.equal(changeOf(undefined, { ctr: 0.1 }, 'ctr'), undefined)
  const [ctr, cvr] = [{ name: 'ctr' }, { name: 'cvr' }]
  t.same(earningTasks([ctr, cvr, { name: 'both', product: ['ctr', 'cvr'] }]), ['both'])
  t.same(earningTasks([ctr, cvr]), ['ctr', 'cvr'])
  t.same(earningTasks([ctr]), ['ctr'])
  t.equal(earningTasks([cvr]), undefined)
  t.same(scoreNames([ctr, cvr]), ['ctr', 'cvr', 'ecpm'])
  t.same(scoreNames([cvr]), ['cvr'])
  t.equal(scoreOf({ ctr: 0.5, cvr: 0.1 }, 2, 'ecpm', [ctr, cvr]), 100)
  t.equal(scoreOf({ ctr: 0.5 }, undefined, 'ecpm', [ctr]), undefined, 'without a bid')
  t.equal(scoreOf(null, 1, 'ctr', [ctr]), undefined)
  const candidates = candidatesOf([{}, {}, {}])
  const standings = new Map([3, 1, 2].map((rank, i) => [i + 1, { rank, prediction: null }]))
  t.equal(placeToLookInto(candidates, undefined, standings), 1, 'the best one')
  t.equal(placeToLookInto(candidates, 3, standings), 2, 'the chosen one')
  t.equal(placeToLookInto(candidates, 9, standings), 1, 'the chosen one is gone')
  t.equal(placeToLookInto(candidates, undefined, new Map()), 0)
})

t.test('problems go to the field that they name', async (t) => {
  t.same(placeOf('/context/a~1b~0c'), { part: 'context', field: 'a/b~c' })
  t.same(placeOf('/candidates/3/price'), { part: 'candidates', index: 3, field: 'price' })
  t.same(placeOf('/candidates/3'), { part: 'candidates', index: 3, field: undefined })
  for (const path of ['', '/model', '/candidates', '/candidates/price/3']) t.equal(placeOf(path), undefined, path)
  const { context, candidates } = mapProblems([
    { path: '/context/hour', message: 'one' },
    { path: '/context/hour', message: 'two' },
    { path: '/candidates/1', message: 'whole' },
  ])
  t.equal(context.get('hour'), 'one; two')
  t.equal(candidates.get(1)?.get(''), 'whole')
})

t.test('what is missing', async (t) => {
  const reference = new Map([
    [
      'country',
      [
        { label: 'DE', value: 'DE', share: 0.3 },
        { label: 'others', share: 0.6 },
        { label: 'FR', value: 'FR', share: 0.1 },
      ],
    ],
    ['hour', [{ label: '20', value: 20, share: 1 }]],
    ['price', [{ label: 'low', value: 0.5, low: 0, high: 1, share: 0.5 }]],
  ])
  const values = { id: 'a', country: 'US', hour: 3, campaign: 'c', price: 2, views: 5 }
  t.test('is the default, or the commonest value where a field has none', async (t) => {
    const { requests, unknown, absent } = planMissing({ model: 'm', version: '2' }, values, fields, reference)
    t.equal(requests.length, 1)
    const [{ body, substitutes }] = requests as [(typeof requests)[0]]
    t.same(
      substitutes.map(({ field, kind, value }) => [field, kind, value]),
      [
        ['country', 'commonest', 'DE'],
        ['hour', 'commonest', 20],
        ['price', 'middle', 0.5],
        ['views', 'default', 1],
      ],
    )
    t.same(unknown, ['campaign'], 'what a hash stands for is not known')
    t.same(absent, [])
    t.same([body.model, body.version, body.context], ['m', '2', { campaign: 'c' }])
    const base = { country: 'US', hour: 3, price: 2, views: 5 }
    t.same(body.candidates, [
      base,
      { ...base, country: 'DE' },
      { ...base, hour: 20 },
      { ...base, price: 0.5 },
      { country: 'US', hour: 3, price: 2 },
    ])
  })
  t.test('a few requests ask for hundreds of fields, each field once, and every request has all of them', async (t) => {
    const many = Array.from({ length: mostFields + 20 }, (_, i) =>
      field(`f${i}`, { side: i % 2 ? 'context' : 'candidate', required: false, default: 0 }),
    )
    const all = Object.fromEntries(many.slice(1).map(({ name }) => [name, 1]))
    const { requests, beyond, absent } = planMissing({ model: 'm' }, all, many, new Map())
    t.equal(requests.length, Math.ceil(mostFields / fieldsPerRequest))
    t.equal(beyond, 20)
    t.same(absent, ['f0'])
    for (const { body } of requests) {
      t.ok(JSON.stringify(body).length < 1_000_000)
      const names = [...Object.keys(body.context!), ...Object.keys(body.candidates[0]!)]
      t.equal(new Set(names).size, names.length, 'no field is in both places')
      t.equal(names.length, many.length - 1)
    }
    const asked = requests.flatMap(({ substitutes }) => substitutes.map(({ field }) => field))
    t.equal(new Set(asked).size, mostFields - 1)
  })
  t.test('effects, largest first; a row without an answer has none', async (t) => {
    const { requests } = planMissing({ model: 'm' }, values, fields, reference)
    const predictions = [{ ctr: 0.5 }, { ctr: 0.4 }, null, { ctr: 0.9 }, { ctr: 0.5 }]
    const ctr = (prediction: Prediction | null | undefined) => probabilityOf(prediction, 'ctr')
    t.same(
      bySize(effectsOf(requests[0]!, predictions, ctr)).map(({ field, without }) => [field, without]),
      [
        ['price', 0.9],
        ['country', 0.4],
        ['views', 0.5],
      ],
    )
    t.same(effectsOf(requests[0]!, [null], ctr), [])
    const same = planMissing({ model: 'm' }, { ...values, country: 'DE' }, fields, reference).requests[0]!
    t.equal(bySize(effectsOf(same, [...predictions].fill({ ctr: 0.5 }), ctr)).at(-1)!.field, 'country', 'unchanged')
  })
  t.equal(typicalOf([]), undefined)
  const ranges = [
    { label: '', value: 1, high: 2, share: 0.4 },
    { label: '', value: 3, low: 2, high: 4, share: 0.3 },
    { label: '', value: 5, low: 4, share: 0.3 },
  ]
  t.same(typicalOf(ranges), { kind: 'middle', value: 3 }, 'not the one that is a little more frequent')
})

t.test('what changes when a field has the value of another candidate', async (t) => {
  const values = { id: 'a', bid: 2, country: 'US', hour: 3, campaign: 'c', price: 2 }
  const other = { id: 'b', bid: 3, country: 'US', hour: 3, campaign: 'd', views: 5 }
  const { requests, unknown, absent, beyond } = planOther({ model: 'm' }, values, other, fields)
  t.same([requests.length, unknown, absent, beyond], [1, [], [], 0])
  const { body, substitutes } = requests[0]!
  t.same(
    substitutes.map(({ field, now, value }) => [field, now, value]),
    [
      ['campaign', 'c', 'd'],
      ['price', 2, undefined],
      ['views', undefined, 5],
    ],
    'fields in which the two agree are left out',
  )
  t.same(body.context, { country: 'US', hour: 3 })
  t.same(body.candidates, [
    { campaign: 'c', price: 2 },
    { campaign: 'd', price: 2 },
    { campaign: 'c' },
    { campaign: 'c', price: 2, views: 5 },
  ])

  const same = planOther({ model: 'm' }, values, { ...values, bid: 3 }, fields)
  t.same(same.requests[0]!.body.candidates, [{}], 'it is still asked, for the effect of the bid')
  const revenue = (bid: unknown) => (typeof bid === 'number' ? 10 * bid : undefined)
  t.match(effectOfBid(2, 3, revenue), [{ field: 'bid', now: 2, value: 3, with: 20, without: 30 }])
  t.same(effectOfBid(2, 2, revenue), [])
  t.same(effectOfBid(2, undefined, revenue), [], 'without a bid there is no revenue')

  const many = Array.from({ length: mostFields + 20 }, (_, i) => field(`f${i}`))
  const all = (value: number) => Object.fromEntries(many.map(({ name }) => [name, value]))
  const plan = planOther({ model: 'm' }, all(1), all(2), many)
  t.equal(plan.beyond, 20)
  t.equal(plan.requests.flatMap(({ substitutes }) => substitutes).length, mostFields)
})

t.test('the importance of fields is their mean effect, up or down, over rows that exchange their values', async (t) => {
  const rows = [
    { country: 'US', price: 1 },
    { country: 'DE', price: 2 },
    { country: 'DE', price: 2 },
  ]
  const plans = planExchanged({ model: 'm' }, rows, [country, price], 1)
  t.same(
    plans.map(({ requests }) => requests[0]!.substitutes.map(({ field, value }) => [field, value])),
    [
      [
        ['country', 'DE'],
        ['price', 2],
      ],
      [],
      [
        ['country', 'US'],
        ['price', 1],
      ],
    ],
  )
  t.same(
    planExchanged({ model: 'm' }, rows, [country], 2).map(({ requests }) => requests[0]!.substitutes[0]?.value),
    ['DE', 'DE', undefined, 'US', 'US', undefined],
    'with each of the rows that follow',
  )
  const predictions = [[{ ctr: 0.5 }, { ctr: 0.5 }, { ctr: 0.6 }], [{ ctr: 0.1 }], [{ ctr: 0.5 }, { ctr: 0.2 }, null]]
  const effects = plans.flatMap(({ requests }, i) =>
    effectsOf(requests[0]!, predictions[i]!, (prediction) => probabilityOf(prediction, 'ctr')),
  )
  t.same(
    meanEffects(effects, [country, price, views], { pairs: 3, rows: 3 }).map(({ field, size }) => [
      field,
      size.toFixed(3),
    ]),
    [
      ['country', '0.100'],
      ['price', '0.033'],
      ['views', '0.000'],
    ],
  )
  const known = {
    rows: rows.map(({ country, price }) => ({ context: { country }, candidate: { price } })),
    reference: new Map(),
  }
  t.same(rowsOf(fields, known, 2), rows.slice(0, 2))
  const drawn = rowsOf(fields, { rows: [], reference: new Map() }, 4)
  t.equal(drawn.length, 4)
  t.same(
    Object.keys(drawn[0]!),
    fields.map(({ name }) => name),
  )
  t.same(rowsOf(fields, { rows: [], reference: new Map() }, 4), drawn, 'the same each time')
})

t.test('a drawn form', async (t) => {
  const half = () => 0.5
  t.equal(drawValue(hour, [], half), 12)
  t.equal(drawValue(price, [{ label: '', low: 2, high: 4, share: 1 }], half), 3)
  t.equal(
    drawValue(
      country,
      [
        { label: 'rest', share: 0.9 },
        { label: 'DE', value: 'DE', share: 0.1 },
      ],
      half,
    ),
    'DE',
    'bins without a value are left out',
  )
  t.type(drawValue(campaign, [], half), 'string')
  const rows = [{ context: { hour: 5 }, candidate: { price: 9 } }]
  const drawn = drawForm(fields, rows, new Map(), half)
  t.same(drawn.context, { hour: 5 })
  t.match(drawn.candidates[0]!.values, { id: 'ad-1', price: 9, bid: 1 })
  const known = { rows: [], reference: new Map() }
  const example = { context: { hour: 20 }, candidates: [{ price: 7 }] }
  const first = firstForm(fields, example, known)
  t.same(first, firstForm(fields, example, known), 'the same each time')
  t.same(first.context, { hour: 20 })
  t.match(first.candidates[0]!.values, { id: 'ad-1', price: 7 })
  t.ok(firstForm(fields, undefined, known).candidates.length > 1)
})

t.test('example inputs have the shapes of the graph', async (t) => {
  const text = exampleInputs([
    { name: 'x"', dtype: 'int64', shape: [] },
    { name: 'sizes', dtype: 'float32', shape: [2, 3] },
    { name: 'huge', dtype: 'float32', shape: [100, 100] },
  ])
  t.same(JSON.parse(text), {
    'x"': [0, 0],
    sizes: [
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    ],
    huge: [],
  })
})
