import t from 'tap'
import { DeadlineQueue, type QueuedSlice } from '../../../../src/model/serving/batching/queue.ts'
import { fc, randomCases } from '../../../support/cases.ts'

interface Named extends QueuedSlice {
  name: number
}

function create(name: number, deadline: number, count: number, settled: Set<number>): Named {
  return { name, deadline, count, start: 0, batch: { rows: count, inputs: {} }, live: () => !settled.has(name) }
}

/** A slice without its `live`. */
const summaryOf = (slice: Named | undefined) => slice && [slice.name, slice.start, slice.count]

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      // Few deadlines, so that many are equal.
      deadline: fc.integer({ min: 0, max: 6 }),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('shift' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('shiftRows' as const), count: fc.integer({ min: 1, max: 9 }) }),
  },
  // So many at once that the settled outnumber the live.
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('forget' as const), slices: fc.array(fc.nat(), { maxLength: 90 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('fill' as const), slices: fc.integer({ min: 50, max: 120 }) }),
  },
)

t.test('it does what a sorted array does, whatever is settled meanwhile', async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const queue = new DeadlineQueue<Named>()
      const settled = new Set<number>()
      let sorted: Named[] = []
      let nextName = 0
      const push = (deadline: number, count: number) => {
        const slice = create(nextName++, deadline, count, settled)
        queue.push(slice)
        const after = sorted.findIndex((other) => other.deadline > deadline)
        sorted.splice(after < 0 ? sorted.length : after, 0, { ...slice })
      }
      const expect = (actual: unknown, expected: unknown) => {
        if (JSON.stringify(actual) !== JSON.stringify(expected))
          throw new Error(`${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`)
      }
      for (const step of actions) {
        switch (step.type) {
          case 'push':
            push(step.deadline, step.count)
            break
          case 'fill':
            for (let i = 0; i < step.slices; i++) push((i * 5) % 7, 1 + (i % 3))
            break
          case 'shift':
            expect(summaryOf(queue.shift()), summaryOf(sorted.shift()))
            break
          case 'shiftRows': {
            const [first] = sorted
            if (first === undefined || first.count <= step.count) {
              expect(summaryOf(queue.shiftRows(step.count)), summaryOf(sorted.shift()))
              break
            }
            expect(summaryOf(queue.shiftRows(step.count)), [first.name, first.start, step.count])
            first.start += step.count
            first.count -= step.count
            break
          }
          case 'forget': {
            const gone = new Set(
              step.slices.map((i) => sorted[i % Math.max(1, sorted.length)]).filter((slice) => !!slice),
            )
            for (const { name } of gone) settled.add(name)
            let rows = 0
            for (const { count } of gone) rows += count
            queue.forget(gone.size, rows)
            sorted = sorted.filter((slice) => !gone.has(slice))
          }
        }
        expect(
          [queue.slices, queue.rows, summaryOf(queue.peek())],
          [sorted.length, sorted.reduce((sum, { count }) => sum + count, 0), summaryOf(sorted[0])],
        )
      }
      while (sorted.length > 0) expect(summaryOf(queue.shift()), summaryOf(sorted.shift()))
      expect([queue.shift(), queue.shiftRows(1), queue.slices, queue.rows], [undefined, undefined, 0, 0])
    }),
    { numRuns: randomCases(1000) },
  )
})

t.test(
  'at the same deadline the first that came is the first that goes, though its rows are taken in parts',
  async (t) => {
    const queue = new DeadlineQueue<Named>()
    for (const name of [0, 1, 2]) queue.push(create(name, 5, 4, new Set()))
    const taken = [3, 3, 3, 3, 3].map((count) => summaryOf(queue.shiftRows(count)))
    t.same(taken, [
      [0, 0, 3],
      [0, 3, 1],
      [1, 0, 3],
      [1, 3, 1],
      [2, 0, 3],
    ])
    t.same([queue.slices, queue.rows], [1, 1])
  },
)

t.test('settled slices are dropped', async (t) => {
  const settled = new Set<number>()
  const queue = new DeadlineQueue<Named>()
  const looks: number[] = []
  for (let name = 0; name < 1000; name++)
    queue.push({ ...create(name, 1, 1, settled), live: () => looks.push(name) > 0 && !settled.has(name) })
  for (let name = 1; name < 1000; name++) {
    settled.add(name)
    queue.forget(1, 1)
  }
  looks.length = 0
  t.equal(queue.shift()?.name, 0)
  t.equal(queue.shift(), undefined)
  t.ok(looks.length < 100, `${looks.length} of 999 that were settled are still there`)
})
