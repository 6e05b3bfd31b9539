import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodedRequest } from '../../../../src/model/serving/features/layout.ts'
import { Violations } from '../../../../src/model/serving/features/problems.ts'
import { createComposer } from '../../../../src/model/serving/prediction/compose.ts'
import { createPlanner } from '../../../../src/model/serving/prediction/request-plan.ts'
import type { PredictOptions } from '../../../../src/schemas/predict.ts'
import { fc } from '../../../support/cases.ts'
import { gatedManifest } from '../../../support/fakes/manifest.ts'

// Halving the odds of a click: the raw 0.5 becomes 1/3.
const manifest = gatedManifest({
  tasks: [{ name: 'ctr', calibration: { method: 'negative_sampling', kept: 0.5 } }, { name: 'cvr' }],
})
const planner = createPlanner(manifest)
const plan = (tasks: string[] | undefined, options: PredictOptions) => planner(tasks, options, new Violations())
const { layout } = createEncoder(manifest.features)
const compose = createComposer(manifest, layout)

const requestOf = (rows: number, rest: Partial<EncodedRequest> = {}): EncodedRequest => ({
  requested: rows,
  rows,
  sparse: new Int32Array(),
  dense: new Float32Array(),
  problems: [],
  placeOf: (row) => `/candidates/${row}`,
  ...rest,
})
const answer = (
  probabilities: number[],
  options: PredictOptions = {},
  rest: Partial<EncodedRequest> = {},
  tasks?: string[],
) =>
  compose(plan(tasks, options), requestOf(probabilities.length / 2, rest), {
    p: Float32Array.from(probabilities),
    gate_ctr: Float32Array.from({ length: (probabilities.length / 2) * 3 }, (_, i) => i),
    gate_cvr: Float32Array.from({ length: (probabilities.length / 2) * 3 }, (_, i) => 100 + i),
  })
const column = (columns: [string, ArrayLike<number>][] | undefined, name: string) =>
  Array.from(columns?.find(([key]) => key === name)?.[1] ?? [])

t.test('tasks are calibrated, and derived ones composed of what is calibrated', async (t) => {
  const { tasks, raw, gates, scores, index } = answer([0.5, 0.25, 0, 1])
  t.same(column(tasks, 'ctr'), [0.5 / 1.5, 0])
  t.same(column(tasks, 'cvr'), [0.25, 1])
  t.same(column(tasks, 'ctcvr'), [(0.5 / 1.5) * 0.25, 0])
  t.same([raw, gates, scores, index], [undefined, undefined, undefined, undefined])
})

t.test('tasks stand in the order asked for', async (t) => {
  t.same(
    answer([0.5, 0.25], {}, {}, ['ctcvr', 'cvr']).tasks.map(([name]) => name),
    ['ctcvr', 'cvr'],
  )
})

t.test('raw probabilities are not calibrated', async (t) => {
  t.same(column(answer([0.5, 0.25], { raw: true }).raw, 'ctr'), [0.5])
})

t.test('gates are passed on', async (t) => {
  const { gates } = answer([0.5, 0.25], { gates: true })
  t.same(column(gates, 'ctr'), [0, 1, 2])
  t.same(column(gates, 'cvr'), [100, 101, 102])
})

t.test('ids, problems and places are passed on', async (t) => {
  const rest = {
    requested: 3,
    index: Int32Array.of(2),
    ids: ['a', 'b', 'c'],
    problems: [{ path: '/candidates/0', message: 'is wrong' }],
  }
  t.match(answer([0.5, 0.25], {}, rest), rest)
})

t.test('ranking puts the best first, everything in that order', async (t) => {
  const ranked = answer([0.5, 0.1, 0.5, 0.9, 0.5, 0.5], { rank: { by: 'cvr' }, raw: true, gates: true })
  t.same([...(ranked.index ?? [])], [1, 2, 0])
  t.same([...(ranked.scores ?? [])], [0.9, 0.5, 0.1].map(Math.fround))
  t.same(column(ranked.tasks, 'cvr'), [0.9, 0.5, 0.1].map(Math.fround))
  t.same(column(ranked.raw, 'cvr'), [0.9, 0.5, 0.1].map(Math.fround))
  t.same(column(ranked.gates, 'ctr'), [3, 4, 5, 6, 7, 8, 0, 1, 2])
})

t.test('ranking goes by calibrated probabilities', async (t) => {
  t.same([...(answer([0.5, 0.25], { rank: { by: 'ctr' } }).scores ?? [])], [0.5 / 1.5])
})

t.test('equal scores keep the order of the request', async (t) => {
  const probabilities = Array.from({ length: 40 }, (_, i) => [0.5, i % 2 ? 0.25 : 0.75]).flat()
  const { index } = answer(probabilities, { rank: { by: 'cvr' } })
  const rows = [...Array(40).keys()]
  t.same([...(index ?? [])], [...rows.filter((i) => i % 2 === 0), ...rows.filter((i) => i % 2 === 1)])
})

t.test('only the best so many are answered', async (t) => {
  const ranked = answer([0.5, 0.1, 0.5, 0.9, 0.5, 0.5], { rank: { by: 'cvr', top_k: 2 }, gates: true })
  t.same([...(ranked.index ?? [])], [1, 2])
  t.same(column(ranked.gates, 'cvr'), [103, 104, 105, 106, 107, 108])
})

t.test('more of the best than there are is all of them', async (t) => {
  t.equal(answer([0.5, 0.1], { rank: { by: 'cvr', top_k: 99 } }).index?.length, 1)
})

t.test('ecpm is a thousand times bid, click and conversion', async (t) => {
  const ranked = answer([0.5, 0.25, 0.5, 0.25], { rank: { by: 'ecpm' } }, { bids: [2, 3] })
  t.same([...(ranked.index ?? [])], [1, 0])
  t.same([...(ranked.scores ?? [])], [1000 * 3 * (0.5 / 1.5) * 0.25, 1000 * 2 * (0.5 / 1.5) * 0.25])
})

t.test('bids and places are those of the request where rows were left out', async (t) => {
  const rest = { requested: 4, index: Int32Array.of(1, 3), bids: [100, 1, 100, 2] }
  const ranked = answer([0.5, 0.25, 0.5, 0.25], { rank: { by: 'ecpm' } }, rest)
  t.same([...(ranked.index ?? [])], [3, 1])
})

t.test('a row left out has a bid of nothing', async (t) => {
  const ranked = answer([0.5, 0.25], { rank: { by: 'ecpm' } }, { bids: [undefined] })
  t.same([...(ranked.scores ?? [])], [0])
})

t.test('no row at all is an empty answer, whatever was asked', async (t) => {
  const table = compose(
    plan(undefined, { raw: true, gates: true, rank: { by: 'ecpm' } }),
    requestOf(0, { requested: 2, index: new Int32Array(0) }),
    {},
  )
  t.equal(table.requested, 2)
  t.same(column(table.tasks, 'ctr'), [])
  t.same(column(table.gates, 'ctr'), [])
  t.equal(table.index?.length, 0)
})

t.test('an answer without probabilities is the model failing', async (t) => {
  t.throws(() => compose(plan(undefined, {}), requestOf(2), {}), {
    code: 'MODEL_FAILED',
    message: 'The model answered no probabilities for 2 rows and 2 tasks',
  })
})

t.test('an answer of another size is the model failing', async (t) => {
  t.throws(() => compose(plan(undefined, {}), requestOf(2), { p: new Float32Array(3) }), {
    code: 'MODEL_FAILED',
    message: 'The model answered 3 probabilities for 2 rows and 2 tasks',
  })
})

for (const value of [-0.5, 1.5]) {
  t.test(`${value} as a probability is the model failing`, async (t) => {
    t.throws(() => answer([0.5, 0.5, 0.5, value]), {
      code: 'MODEL_FAILED',
      message: `The model answered ${value} as the probability of cvr for row 1; if it answers logits, its manifest needs graph.outputs.activation`,
    })
  })
}

t.test('ranking is sorting: any probabilities and bids', async () => {
  const row = fc.record({
    ctr: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
    cvr: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
    bid: fc.integer({ min: 0, max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (rows, top) => {
      const ranked = answer(
        rows.flatMap(({ ctr, cvr }) => [ctr, cvr]),
        { rank: { by: 'ecpm', top_k: top } },
        { bids: rows.map(({ bid }) => bid) },
      )
      const plain = answer(rows.flatMap(({ ctr, cvr }) => [ctr, cvr]))
      const product = column(plain.tasks, 'ctcvr')
      const score = rows.map(({ bid }, i) => 1000 * bid * product[i]!)
      const order = [...rows.keys()].sort((a, b) => score[b]! - score[a]! || a - b).slice(0, top)
      return (
        order.every((place, i) => ranked.index?.[i] === place && ranked.scores?.[i] === score[place]) &&
        ranked.index?.length === order.length
      )
    }),
  )
})

for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
  t.test(`a row whose answer is ${value} is the request's fault, with its place`, async (t) => {
    t.throws(() => answer([0.5, 0.5, 0.5, value]), {
      code: 'INVALID_REQUEST',
      problems: [{ path: '/candidates/1', message: "can't be computed from these values" }],
    })
  })
}

t.test('a field that is too large for float32 arithmetic is named', async (t) => {
  const dense = Float32Array.of(1, 2, 3e38, 4)
  t.throws(() => answer([0.5, 0.5, Number.NaN, 0.5], {}, { dense }), {
    code: 'INVALID_REQUEST',
    problems: [{ path: '/candidates/1', message: "can't be computed: price is too large for float32 arithmetic" }],
  })
})

t.test('in part, a row that has no number as an answer is left out, of all that was asked for', async (t) => {
  const rest = { requested: 4, index: Int32Array.of(0, 2, 3), ids: ['a', 'b', 'c', 'd'] }
  const before = [{ path: '/candidates/1/price', message: 'is wrong' }]
  const options = { partial: true, raw: true, gates: true }
  const table = answer([0.5, 0.25, Number.NaN, 0.5, 0.5, 0.75], options, { ...rest, problems: before })
  t.same([...(table.index ?? [])], [0, 3])
  t.same(column(table.tasks, 'cvr'), [0.25, 0.75])
  t.same(column(table.raw, 'ctr'), [0.5, 0.5])
  t.same(column(table.gates, 'cvr'), [100, 101, 102, 106, 107, 108])
  t.same(table.problems, [...before, { path: '/candidates/2', message: "can't be computed from these values" }])
})

t.test('in part, rows that are left out are not ranked', async (t) => {
  const options: PredictOptions = { partial: true, rank: { by: 'cvr' } }
  const table = answer([0.5, 0.25, Number.NaN, Number.NaN, 0.5, 0.75], options)
  t.same([...(table.index ?? [])], [2, 0])
  t.same([...(table.scores ?? [])], [0.75, 0.25])
})

t.test('in part, no row may be left', async (t) => {
  const table = answer([Number.NaN, 0.5], { partial: true, raw: true, gates: true, rank: { by: 'ctr' } })
  t.equal(table.requested, 1)
  t.same(column(table.tasks, 'ctr'), [])
})

t.test('a row whose answer to another task is no number is answered for the task asked for', async (t) => {
  t.same(column(answer([Number.NaN, 0.5], {}, {}, ['cvr']).tasks, 'cvr'), [0.5])
})

t.test('at most a hundred rows that have no number are listed', async (t) => {
  const table = answer([...Array(400).fill(Number.NaN), 0.5, 0.25], { partial: true })
  t.equal(table.problems.length, 100)
  t.same([...(table.index ?? [])], [200])
})
