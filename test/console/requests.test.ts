import t from 'tap'
import { readJson } from '../../src/console/pages/playground/state/paste.ts'
import { decodeBody, encodeBody } from '../../src/console/pages/playground/state/state-codec.ts'
import { describeVector, namesOf, valuesOfBody } from '../../src/console/pages/requests/body-values.ts'
import { explain } from '../../src/console/pages/requests/explain.ts'
import type { RequestRecord } from '../../src/schemas/requests.ts'

/* The parts of the page of requests that need no browser. */

let created = 0
const record = (more: Partial<RequestRecord>): RequestRecord => ({
  request_id: `id-${++created}`,
  method: 'POST',
  url: '/predict',
  status: 200,
  model: 'ads',
  version: '1',
  rows: 50,
  read_ms: 1,
  queue_ms: 1,
  compute_ms: 4,
  write_ms: 1,
  total_ms: 7,
  ...more,
})
const slow = (more: Partial<RequestRecord> = {}) => record({ compute_ms: 48, total_ms: 51, ...more })
const usual = [2, 3, 4, 5, 6].map((compute_ms) => record({ compute_ms }))
const explained = (one: RequestRecord, records: RequestRecord[], kind: 'recent' | 'slow' = 'recent') =>
  explain(one, { kind, records })

t.test('a time that stands out is compared with the median of the other requests of the model', async (t) => {
  const one = slow()
  const others = [...usual, one, slow({ model: 'other' }), slow({ status: 504 })]
  t.match(explained(one, others), 'Compute took 12 times the median (4 ms) of 5 other recent requests of this model.')
  t.match(explained(one, others, 'slow'), 'of 5 other slow requests')
  t.match(explained(slow({ compute_ms: 5 }), usual), 'Compute took about as long as usual: the median of 5')
  t.match(explained(slow({ compute_ms: 1.8, read_ms: 0, queue_ms: 0, total_ms: 2 }), usual), 'Compute took less time')
  const flooded = usual.map((other) => ({ ...other, queue_ms: 600 }))
  t.match(
    explained(record({ queue_ms: 700, total_ms: 706 }), flooded),
    'It was not alone: the median of 5 other recent requests of this model is 600 ms',
  )
  const waited = usual.map((other) => ({ ...other, queue_ms: 0 }))
  t.match(explained(record({ queue_ms: 90, total_ms: 96 }), waited), 'Waiting took more than the median (0 ms) of 5')
  t.match(
    explained(record({ read_ms: 4, total_ms: 10 }), usual),
    /^No stage has most .* Reading took 4 times the median/,
  )
})

t.test('a body that comes slowly is told from a server that reads slowly', async (t) => {
  const others = usual.map((other) => ({ ...other, receive_ms: 0.5 }))
  const arriving = explained(record({ receive_ms: 90, read_ms: 91, total_ms: 97 }), others)
  t.match(arriving, /^93% of the time, 90 ms, passed until its body had come\. Receiving took 180 times the median/)
  t.match(arriving, 'The client sends it slowly')
  t.match(
    explained(record({ receive_ms: 1, read_ms: 91, total_ms: 97 }), others),
    /^93% of the time, 90 ms, passed until its values were encoded\. Reading took 180 times/,
  )
  t.match(explained(record({ read_ms: 91, total_ms: 97 }), usual), /^94% of the time, 91 ms, passed until its values/)
})

t.test('the number of rows is kept in view', async (t) => {
  const rows = (count: number) => explained(slow({ rows: count }), usual)
  t.match(rows(60), 'Its number of rows does not explain that: 60, against a median of 50.')
  t.match(rows(500), 'Its number of rows explains that: 500, against a median of 50.')
  t.match(rows(60), /Something else held it up/)
  t.notMatch(rows(60), /fewer candidates/, 'which would not help')
  t.match(rows(500), /fewer candidates make it cheaper/)
  t.match(rows(150), 'Its number of rows explains only a part of that: 150, against a median of 50.')
  t.notMatch(
    explained(
      slow(),
      usual.map(({ rows: _, ...other }) => other),
    ),
    'number of rows',
  )
})

t.test('few other requests do not say what is usual', async (t) => {
  t.match(
    explained(slow(), usual.slice(1)),
    'Too few other recent requests of this model are recorded to say what is usual: 4.',
  )
  t.notMatch(explained(slow(), usual.slice(1)), 'median')
})

const weighted = { values: ['new', 'sale'], weights: [2, 0.5] }
const withLists = {
  context: { history: ['a', 'b'], ages: [1, 2], country: null },
  candidates: [
    { id: 'x', item: 'a', tags: weighted, image: [1, 2] },
    { item: 'b', tags: [] },
  ],
}

t.test('lists are read from bodies of rows and of columns', async (t) => {
  const read = (body: unknown, url = '/predict') => valuesOfBody({ url, body })
  const { candidates } = withLists
  t.same(read(withLists), { context: { history: ['a', 'b'], ages: [1, 2] }, candidates })
  const tags = { values: ['new', 'sale', 'old'], offsets: [0, 2, 3], weights: [2, 0.5, 1] }
  t.same(read({ candidates: { item: ['a', 'b'], tags, image: [[1, 2], null] } }), {
    context: {},
    candidates: [
      { item: 'a', tags: weighted, image: [1, 2] },
      { item: 'b', tags: { values: ['old'], weights: [1] } },
    ],
  })
  t.same(read({ context: { history: [] } }), { context: { history: [] }, candidates: [{}] }, 'the context is one row')
  t.same(read({ candidates: [{ tags: ['a', null] }] })?.candidates, [{ tags: ['a', 'null'] }], 'a mistake is shown')
  t.same(read({ candidates: ['a', 7] })?.candidates, [{ id: 'a' }, { id: 7 }], 'keys of a table')
  for (const [body, url] of [
    [{ sparse: [[1]] }],
    [{ candidates: [true] }],
    [{ candidates: { tags: { values: [] } } }],
    ['text'],
    [undefined],
    [withLists, '/v2/models/ads/infer'],
  ] as const)
    t.equal(read(body, url), undefined, JSON.stringify(body))
})

t.test('a recorded request keeps its lists in the playground', async (t) => {
  const body = decodeBody(encodeBody(withLists))
  const side = {
    history: 'context',
    ages: 'context',
    item: 'candidate',
    tags: 'candidate',
    image: 'candidate',
  } as const
  const fields = Object.entries(side).map(([name, side]) => ({
    name,
    side,
    kind: 'vocabulary',
    type: 'string' as const,
    required: false,
    missing: 'default' as const,
    encoding: {},
  }))
  t.same(readJson(body, fields), { ...valuesOfBody(record({ body: withLists })), moved: [], notes: [] })
})

t.test('names stand in the order of the model', async (t) => {
  const fields = ['item', 'tags', 'image'].map((name) => ({ name }))
  t.same(
    namesOf(
      [
        { tags: [], old: 1, bid: 2 },
        { item: 'a', id: 'x' },
      ],
      fields,
    ),
    ['id', 'bid', 'item', 'tags', 'old'],
  )
  t.same(namesOf([{}], fields), [])
})

t.test('vectors in a few words', async (t) => {
  t.equal(describeVector([0.12345, -1, 3, 4]), '4 numbers: 0.123, -1, 3, …')
  t.equal(describeVector([1.5]), '1 number: 1.5')
  t.equal(describeVector([1, 2, 3]), '3 numbers: 1, 2, 3')
  t.equal(describeVector([]), 'no numbers')
})
