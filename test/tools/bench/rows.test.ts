import t from 'tap'
import { standardNormal } from '../../../src/base/hash.ts'
import { drawBatch, drawRows, idDraw, redraw, sampleDraw, type TargetInput } from '../../../src/tools/bench/rows.ts'
import { Dice } from '../../support/compile/dice.ts'

const inputs: TargetInput[] = [
  { name: 'ids', dtype: 'int32', sides: ['context', 'candidate'], draws: [idDraw(100, 1000), idDraw(2000, 1000)] },
  { name: 'numbers', dtype: 'float32', sides: ['cross', 'context'], draws: [standardNormal, standardNormal] },
]
const shape = { rows: 5, requests: 3 }
const column = (data: ArrayLike<number>, i: number) =>
  Array.from({ length: data.length / 2 }, (_, row) => data[row * 2 + i]!)

t.test('each request has one context, and other candidates', async (t) => {
  const dice = new Dice(1)
  const batch = drawBatch(inputs, shape, () => dice.next())
  t.match(batch, { rows: 15, requests: [5, 5, 5] })
  const contexts = column(batch.inputs.ids!, 0)
  for (const start of [0, 5, 10]) t.equal(new Set(contexts.slice(start, start + 5)).size, 1)
  t.ok(new Set(contexts).size > 1)
  t.ok(new Set(column(batch.inputs.ids!, 1)).size > 10)
  t.ok(contexts.every((id) => id >= 100 && id < 1100))
  t.ok(new Set(column(drawBatch(inputs, shape, () => dice.next(), true).inputs.ids!, 0)).size > 10)
})

t.test('lists have any number of values, or a given one', async (t) => {
  const dice = new Dice(4)
  const list = { column: 0, width: 2, padding: 0, sequence: {} }
  const listed: TargetInput[] = [{ ...inputs[0]!, lists: [list] }]
  const lengths = (listValues?: number) => {
    const { ids } = drawRows(listed, 40, () => dice.next(), listValues)
    return new Set(column(ids!, 1).map((id) => (id === 0 ? 1 : 2)))
  }
  t.same([...lengths(1)], [1])
  t.same([...lengths(9)], [2])
  t.equal(lengths().size, 2)
})

t.test('a batch is drawn anew in part', async (t) => {
  const dice = new Dice(2)
  const batch = drawBatch(inputs, shape, () => dice.next())
  const other = redraw(inputs, batch, shape, ['context', 'cross'], () => dice.next())
  t.same(column(other.inputs.ids!, 1), column(batch.inputs.ids!, 1))
  t.notSame(column(other.inputs.ids!, 0), column(batch.inputs.ids!, 0))
  t.notSame(column(other.inputs.numbers!, 0), column(batch.inputs.numbers!, 0))
})

t.test('values follow their distributions', async (t) => {
  const dice = new Dice(3)
  const values = Array.from({ length: 5000 }, () => standardNormal(() => dice.next()))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  t.ok(Math.abs(mean) < 0.06 && Math.abs(variance - 1) < 0.1)
  const sampled = new Set(Array.from({ length: 100 }, () => sampleDraw(Float64Array.of(3, 5, 8))(() => dice.next())))
  t.same([...sampled].sort(), [3, 5, 8])
})

t.test('lists of a sequence are equally long, and hold padding behind their values alone', async (t) => {
  const dice = new Dice(4)
  const sequence = {}
  const list = (column: number, padding: number) => ({ column, width: 3, padding, sequence })
  const draws = (first: number) => Array.from({ length: 3 }, () => idDraw(first, 4))
  const sides = Array.from({ length: 6 }, () => 'candidate' as const)
  const lists: TargetInput = {
    ...{ name: 'ids', dtype: 'int32', sides, draws: [...draws(0), ...draws(10)] },
    lists: [list(0, 0), list(3, 13)],
  }
  const { ids } = drawRows([lists], 200, () => dice.next())
  const lengths = Array.from({ length: 200 }, (_, row) => {
    const own = [0, 13].map((padding, i) => {
      const values = [...ids!.subarray(row * 6 + 3 * i, row * 6 + 3 * i + 3)]
      const length = values.indexOf(padding)
      t.ok(length !== 0 && (length < 0 || values.slice(length).every((id) => id === padding)))
      return length < 0 ? 3 : length
    })
    t.equal(own[0], own[1])
    return own[0]
  })
  t.same([...new Set(lengths)].sort(), [1, 2, 3])
})
