import t from 'tap'
import type { Features } from '../../../src/schemas/features.ts'
import { holdBody, redactBody } from '../../../src/server/request/redact-body.ts'

const field = (name: string, log?: 'hash' | 'drop') => ({
  name,
  side: 'context' as const,
  kind: 'numeric' as const,
  scaling: { method: 'none' as const },
  missing: 'error' as const,
  ...(log && { log }),
})
const features: Features = [field('user', 'hash'), field('income', 'drop'), field('price')]
const redacted = (body: unknown, marked: Features | undefined = features, valid = true) =>
  redactBody(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), { features: marked, valid })
    .body as any

/** None of the secret values, wherever they stood. */
const hides = (value: unknown) => !/u-17|4711/.test(JSON.stringify(value))

t.test('rows and columns: marked fields are hashes or missing, all others are as they were', async (t) => {
  const rows = redacted({
    model: 'ads',
    context: { user: 'u-17', income: 4711, price: 2 },
    candidates: [
      { id: 'ad-1', price: 3, income: 4711 },
      { price: 4, user: 'u-17' },
    ],
    tasks: ['ctr'],
    options: { deadline_ms: 50 },
  })
  t.match(rows, {
    model: 'ads',
    context: { user: /^[0-9a-f]{16}$/, price: 2 },
    candidates: [{ id: 'ad-1', price: 3 }, { price: 4 }],
    tasks: ['ctr'],
    options: { deadline_ms: 50 },
  })
  t.equal(rows.context.user, rows.candidates[1].user, 'equal values have equal hashes')
  t.ok(hides(rows))
  const columns = redacted({ candidates: { user: ['u-17', null, 'u-18'], income: [4711], price: [1, 2, 3] } })
  t.match(columns.candidates, { user: [/^[0-9a-f]{16}$/, null, /^[0-9a-f]{16}$/], price: [1, 2, 3] })
  t.not(columns.candidates.user[0], columns.candidates.user[2])
  t.ok(hides(columns))
})

t.test('other protocols, and values without the names of fields', async (t) => {
  const infer = redacted({
    inputs: [
      { name: 'user', shape: [1], datatype: 'BYTES', data: ['u-17'] },
      { name: 'income', shape: [1], datatype: 'FP32', data: [4711] },
      { name: 'price', shape: [1], datatype: 'FP32', data: [2] },
      { name: 'dense', shape: [1, 3], datatype: 'FP32', data: [4711, 2, 3] },
    ],
  })
  t.same(
    infer.inputs.map(({ name, data }: any) => [name, Array.isArray(data)]),
    [
      ['user', true],
      ['income', false],
      ['price', true],
      ['dense', false],
    ],
  )
  for (const body of [
    infer,
    redacted({ sparse: [[4711]], dense: [[4711, 1]] }),
    redacted({ instances: [{ user: 'u-17', price: 1 }, [4711]] }),
    redacted({ instances: [4711, 'u-17'] }),
    redacted({ inputs: { user: ['u-17'], income: [[4711]], price: [1] } }),
    redacted({ inputs: [[4711]] }),
    redacted({ candidates: [4711, 'u-17'] }),
    redacted({ context: { nested: [4711, ['u-17']] } }),
    redacted({ context: [{ income: 4711 }], candidates: [[{ user: 'u-17' }]] }),
  ])
    t.ok(hides(body), JSON.stringify(body))
})

t.test('what has no place for a value of a field is left out, wherever a client puts it', async (t) => {
  const secret = 'u-17'
  for (const body of [
    { inputs: [{ name: 'price', shape: [1], datatype: 'FP32', data: [1], user: secret, parameters: { x: secret } }] },
    { id: secret, inputs: [], outputs: [{ name: 'ctr', parameters: { x: secret } }] },
    { candidates: [{ price: 1, name: 'x', data: 1, user: secret }] },
    { context: { User: secret } },
    { context: { other: { user: secret } } },
    { context: secret, candidates: secret, instances: secret, inputs: secret },
  ])
    t.ok(hides(redacted(body)), JSON.stringify(body))
  const named = [...features, field('context'), field('inputs')]
  t.ok(hides(redacted({ context: { user: secret, context: 1 }, inputs: { income: [4711] } }, named)))
  t.equal(
    redacted({ context: { price: secret } }, features, false),
    undefined,
    'an invalid request may put it anywhere',
  )
})

t.test('deep bodies are not kept, and harm nothing', async (t) => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  for (const body of [`{"context":{"user":${deep}}}`, `{"context":{"x":${deep}}}`, deep]) {
    t.equal(redacted(body), undefined)
    t.equal(redacted(body, [field('user')]), undefined)
  }
})

t.test('without marks a body is kept whole; what is no body is not kept', async (t) => {
  const body = { context: { user: 'u-17' }, dense: [[1]] }
  t.same(redacted(body, [field('user')]), body)
  t.equal(redacted('{"context":', []), undefined)
  t.equal(redacted('', []), undefined)
  t.equal(redacted(`"${'x'.repeat(70_000)}"`, []), undefined)
  const reason = (text: string, kept: Features | undefined, valid = true) =>
    redactBody(Buffer.from(text), { features: kept, valid }).missing
  t.equal(reason('{"user": "u-17"}', undefined), 'no_fields', 'nothing is known of the fields')
  t.equal(reason('', []), 'empty')
  t.equal(reason('{', []), 'not_json')
  t.equal(reason(`"${'x'.repeat(70_000)}"`, []), 'too_large')
  t.equal(reason('['.repeat(100) + ']'.repeat(100), []), 'too_deep')
  t.equal(reason('{}', features, false), 'marked')
})

t.test('held bodies: values of marked fields are removed before they are read', async (t) => {
  const bytes = Buffer.from('{"context":{"user":"u-17","price":2}}')
  const marked = holdBody(bytes, { features, valid: true })
  const plain = holdBody(bytes, { features: [field('user'), field('price')], valid: true })
  bytes.fill(0)
  t.match(marked(), { body: { context: { user: /^[0-9a-f]{16}$/, price: 2 } }, changed: true })
  t.same(plain(), { body: { context: { user: 'u-17', price: 2 } } }, 'a copy is held')
})

t.test('lists of marked fields are hashed value by value, or missing', async (t) => {
  const weighted = { values: ['u-17', 'u-18'], weights: [4711, 1] }
  const lists = { values: ['u-17', 'u-18', 'u-17'], offsets: [0, 1, 3], weights: [4711, 1, 1] }
  const hash = /^[0-9a-f]{16}$/
  const rows = redacted({
    context: { user: weighted, income: weighted, price: weighted },
    candidates: [{ user: ['u-17', 'u-18'], income: [[4711]], price: [1, 2] }],
  })
  t.same(Object.keys(rows.context), ['user', 'price'])
  t.match(rows.context.user, { values: [hash, hash], weights: [hash, hash] })
  t.same(rows.context.price, weighted, 'others are unchanged')
  t.same(rows.candidates[0].user, rows.context.user.values, 'equal values have equal hashes')
  t.notOk(Object.hasOwn(rows.candidates[0], 'income'))
  const columns = redacted({ candidates: { user: lists, income: lists } })
  t.match(columns.candidates, { user: { values: [hash, hash, hash], offsets: [0, 1, 3], weights: [hash, hash, hash] } })
  t.notOk(Object.hasOwn(columns.candidates, 'income'))
  const { inputs } = redacted({
    inputs: ['user', 'income', 'price'].flatMap((name) => [
      { name, shape: [2], datatype: 'BYTES', data: ['u-17', 'u-18'] },
      { name: `${name}.offsets`, shape: [2], datatype: 'INT32', data: [0, 2] },
      { name: `${name}.weights`, shape: [2], datatype: 'FP32', data: [4711, 1] },
    ]),
  })
  const data = inputs.map((tensor: any) => tensor.data)
  t.match(data.slice(0, 3), [
    [hash, hash],
    [0, 2],
    [hash, hash],
  ])
  t.same(data.slice(3), [undefined, undefined, undefined, ['u-17', 'u-18'], [0, 2], [4711, 1]])
  t.ok(hides([rows.context.user, rows.candidates, columns, inputs.slice(0, 6)]))
})
