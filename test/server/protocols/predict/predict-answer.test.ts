import t from 'tap'
import type { PredictionTable } from '../../../../src/model/contracts/prediction.ts'
import { writeAnswer } from '../../../../src/server/protocols/predict/predict-answer.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { toColumns, toRows } from '../../../support/predictions.ts'

const tableOf = (changes: Partial<PredictionTable> = {}): PredictionTable => ({
  requested: 2,
  index: undefined,
  scores: undefined,
  tasks: [
    ['ctr', Float64Array.of(0.5, 0.25)],
    ['cvr', Float64Array.of(0, 1)],
  ],
  raw: undefined,
  gates: undefined,
  ids: undefined,
  problems: [],
  ...changes,
})
const details: Partial<PredictionTable> = {
  raw: [['ctr', Float64Array.of(0.75, 0.125)]],
  gates: [['ctr', Float32Array.of(0.5, 0.25, 0.25, 0, 0, 1)]],
  ids: ['a', undefined],
}

t.test('row i answers candidate i', async (t) => {
  t.same(toRows(tableOf()), [
    { ctr: 0.5, cvr: 0 },
    { ctr: 0.25, cvr: 1 },
  ])
})

t.test('entry i of each column answers candidate i', async (t) => {
  t.same(toColumns(tableOf()), { ctr: [0.5, 0.25], cvr: [0, 1] })
})

t.test('ids, raw probabilities and gates stand with their rows', async (t) => {
  t.same(toRows(tableOf(details)), [
    { id: 'a', ctr: 0.5, cvr: 0, raw: { ctr: 0.75 }, gates: { ctr: [0.5, 0.25, 0.25] } },
    { ctr: 0.25, cvr: 1, raw: { ctr: 0.125 }, gates: { ctr: [0, 0, 1] } },
  ])
})

t.test('ids, raw probabilities and gates are columns too', async (t) => {
  t.same(toColumns(tableOf(details)), {
    id: ['a', null],
    ctr: [0.5, 0.25],
    cvr: [0, 1],
    raw: { ctr: [0.75, 0.125] },
    gates: {
      ctr: [
        [0.5, 0.25, 0.25],
        [0, 0, 1],
      ],
    },
  })
})

t.test('a row left out is null in its place', async (t) => {
  const table = tableOf({ ...details, requested: 4, index: Int32Array.of(1, 3), ids: ['a', 'b', 'c', 'd'] })
  t.same(
    toRows(table).map((row) => row?.id ?? null),
    [null, 'b', null, 'd'],
  )
  t.same(toRows(table)[3], { id: 'd', ctr: 0.25, cvr: 1, raw: { ctr: 0.125 }, gates: { ctr: [0, 0, 1] } })
  t.same(toColumns(table), {
    id: ['a', 'b', 'c', 'd'],
    ctr: [null, 0.5, null, 0.25],
    cvr: [null, 0, null, 1],
    raw: { ctr: [null, 0.75, null, 0.125] },
    gates: { ctr: [null, [0.5, 0.25, 0.25], null, [0, 0, 1]] },
  })
})

t.test('all rows left out are all null', async (t) => {
  const table = tableOf({
    index: new Int32Array(0),
    tasks: [['ctr', new Float64Array(0)]],
    gates: [['ctr', new Float32Array(0)]],
  })
  t.same(toRows(table), [null, null])
  t.same(toColumns(table), { ctr: [null, null], gates: { ctr: [null, null] } })
})

t.test('ranked rows have a score and their place in the request', async (t) => {
  const table = tableOf({
    requested: 9,
    index: Int32Array.of(7, 2),
    scores: Float64Array.of(12, 3),
    ids: [...'abcdefghi'],
  })
  t.same(toRows(table), [
    { id: 'h', ctr: 0.5, cvr: 0, score: 12, index: 7 },
    { id: 'c', ctr: 0.25, cvr: 1, score: 3, index: 2 },
  ])
  t.same(toColumns(table), { id: ['h', 'c'], ctr: [0.5, 0.25], cvr: [0, 1], score: [12, 3], index: [7, 2] })
})

t.test('ranked candidates without an id have none, or null in the column', async (t) => {
  const table = tableOf({ index: Int32Array.of(1, 0), scores: Float64Array.of(2, 1), ids: ['a', undefined] })
  t.same(toColumns(table).id, [null, 'a'])
  t.notOk(Object.hasOwn(toRows(table)[0] ?? {}, 'id'))
})

t.test('nothing ranked is an empty answer', async (t) => {
  const table = tableOf({
    index: new Int32Array(0),
    scores: new Float64Array(0),
    tasks: [['ctr', new Float64Array(0)]],
  })
  t.same(toRows(table), [])
  t.same(toColumns(table), { ctr: [], score: [], index: [] })
})

t.test('a task may be called like a property of every object', async (t) => {
  const table = tableOf({ tasks: [['constructor', Float64Array.of(0.5, 0.25)]] })
  t.equal(JSON.stringify(toRows(table)[0]), '{"constructor":0.5}')
  t.equal(JSON.stringify(toColumns(table)), '{"constructor":[0.5,0.25]}')
})

t.test('numbers are written with eight digits', async (t) => {
  const values = [1 / 3, 2 / 3, 1 / 3000, 0.1 + 0.2, 0.999999999, 1e-12 / 3]
  const table = tableOf({ requested: values.length, tasks: [['ctr', Float64Array.from(values)]] })
  t.same(toColumns(table).ctr, [0.33333333, 0.66666667, 0.00033333333, 0.3, 1, 3.3333333e-13])
})

t.test('scores larger than a probability are written with eight digits too', async (t) => {
  const table = tableOf({ index: Int32Array.of(0, 1), scores: Float64Array.of(123456789.123, 1000 / 3) })
  t.same(toColumns(table).score, [123456790, 333.33333])
})

t.test('every number keeps its order of magnitude and seven digits at least', async () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true }), (value) => {
      const table = tableOf({ requested: 1, tasks: [['ctr', Float64Array.of(value)]] })
      const [written] = toColumns(table).ctr as [number]
      return Number.isFinite(written) && Math.abs(written - value) <= 5.1e-8 * value
    }),
  )
})

t.test('an answer by row is the answer by column, transposed', async () => {
  const probability = fc.double({ min: 0, max: 1, noNaN: true })
  const table = fc
    .record({
      requested: fc.integer({ min: 1, max: 12 }),
      left: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      ranked: fc.boolean(),
      values: fc.array(probability, { minLength: 12, maxLength: 12 }),
      ids: fc.boolean(),
    })
    .map(({ requested, left, ranked, values, ids }): PredictionTable => {
      const index = Int32Array.from([...Array(requested).keys()].filter((i) => left[i]))
      if (ranked) index.reverse()
      const column = Float64Array.from(index, (place) => values[place]!)
      return {
        requested,
        index,
        scores: ranked ? column : undefined,
        tasks: [['ctr', column]],
        raw: [['ctr', column.map((value) => value / 2)]],
        gates: [['ctr', Float32Array.from(index.length > 0 ? [...column, ...column] : [])]],
        ids: ids ? Array.from({ length: requested }, (_, i) => (i % 3 ? `ad-${i}` : undefined)) : undefined,
        problems: [],
      }
    })
  fc.assert(
    fc.property(table, (table) => {
      const rows = toRows(table)
      const { id, ctr, raw, gates, score, index } = toColumns(table) as Record<string, unknown[]> & {
        raw: { ctr: unknown[] }
        gates: { ctr: unknown[] }
      }
      const transposed = ctr!.map((value, i) => {
        if (value === null) return null
        const at = (name: string, values: unknown[] | undefined) =>
          values === undefined || values[i] === null ? {} : { [name]: values[i] }
        return {
          ...at('id', id),
          ctr: value,
          raw: { ctr: raw.ctr[i] },
          gates: { ctr: gates.ctr[i] },
          ...at('score', score),
          ...at('index', index),
        }
      })
      return JSON.stringify(rows) === JSON.stringify(transposed)
    }),
  )
})

t.test('names and ids of any characters are written as JSON, and stand where they belong', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const names = fc.uniqueArray(
    text.filter((name) => !['__proto__', 'id', 'score', 'index'].includes(name)),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  fc.assert(
    fc.property(names, fc.array(text, { minLength: 1, maxLength: 5 }), text, (names, ids, message) => {
      const table = tableOf({
        requested: ids.length,
        tasks: names.map((name, task) => [name, Float64Array.from(ids, (_, row) => (task + 1) / (row + 4))]),
        ids,
        problems: [{ path: '/candidates/0', message }],
      })
      const header = { model: message, version: names[0]!, request_id: ids[0]! }
      const answer = JSON.parse(writeAnswer(header, table, 'rows').toString())
      t.same({ ...answer, predictions: [] }, { ...header, predictions: [], errors: table.problems })
      const rows = ids.map((id, row) => ({
        id,
        ...Object.fromEntries(table.tasks.map(([name, values]) => [name, Number(values[row]!.toPrecision(8))])),
      }))
      t.same(answer.predictions, rows)
      t.same(
        toColumns(table),
        Object.fromEntries(
          ['id', ...names].map((name) => [name, rows.map((row) => (row as Record<string, unknown>)[name])]),
        ),
      )
    }),
    { numRuns: randomCases(200) },
  )
})
