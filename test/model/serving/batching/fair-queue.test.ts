import t from 'tap'
import { FairQueue, type TenantSlice } from '../../../../src/model/serving/batching/fair-queue.ts'
import { DeadlineQueue } from '../../../../src/model/serving/batching/queue.ts'
import { fc, randomCases } from '../../../support/cases.ts'

interface Named extends TenantSlice {
  name: number
}

function create(
  name: number,
  tenant: string | undefined,
  count = 1,
  deadline = 0,
  live: () => boolean = () => true,
): Named {
  return { name, tenant, count, deadline, start: 0, batch: { rows: count, inputs: {} }, live }
}

/** Whose slices are taken, in order. */
function drain(queue: FairQueue<Named>, rows = 1): (string | undefined)[] {
  const tenants: (string | undefined)[] = []
  for (let next = queue.shiftRows(rows); next !== undefined; next = queue.shiftRows(rows)) tenants.push(next.tenant)
  return tenants
}

t.test('tenants take turns by rows, however many one has queued', async (t) => {
  const queue = new FairQueue<Named>()
  for (let i = 0; i < 6; i++) queue.push(create(i, 'flood'))
  queue.push(create(6, 'other'))
  queue.push(create(7, 'other'))
  t.same(drain(queue), ['flood', 'other', 'flood', 'other', 'flood', 'flood', 'flood', 'flood'])

  for (let i = 0; i < 3; i++) queue.push(create(i, 'large', 10))
  for (let i = 0; i < 30; i++) queue.push(create(i, 'small', 1))
  const first = drain(queue, 10).slice(0, 22)
  t.ok(first.filter((tenant) => tenant === 'large').length <= 3, 'a request of ten rows is as much as ten of one row')
})

t.test('a tenant that was idle has saved nothing', async (t) => {
  const queue = new FairQueue<Named>()
  for (let i = 0; i < 100; i++) queue.push(create(i, 'busy'))
  for (let i = 0; i < 50; i++) queue.shiftRows(1)
  for (let i = 0; i < 50; i++) queue.push(create(i, 'late'))
  t.equal(
    drain(queue)
      .slice(0, 20)
      .filter((tenant) => tenant === 'late').length,
    10,
  )
})

t.test('of a tenant the earliest deadline is first; what is left of a slice stays first', async (t) => {
  const queue = new FairQueue<Named>()
  queue.push(create(0, 'a', 2, 9))
  queue.push(create(1, 'a', 4, 5))
  t.equal(queue.peek()?.name, 1)
  t.match(queue.shiftRows(3), { name: 1, start: 0, count: 3 })
  t.match(queue.shiftRows(3), { name: 1, start: 3, count: 1 })
  t.match(queue.shiftRows(3), { name: 0, count: 2 })
  t.equal(queue.shiftRows(1), undefined)
})

t.test('before a request of a tenant goes what it has queued, and of others at most as much', async (t) => {
  const queue = new FairQueue<Named>()
  t.same(queue.ahead('a', 1), { rows: 0, slices: 0 })
  for (let i = 0; i < 100; i++) queue.push(create(i, 'flood'))
  queue.push(create(100, 'a', 3))
  t.same(queue.ahead('flood', 1), { rows: 103, slices: 101 }, 'all rows are before it')
  t.same(queue.ahead('a', 2), { rows: 3 + 5, slices: 1 + 5 })
  t.same(queue.ahead('new', 1), { rows: 2, slices: 2 })
})

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      tenant: fc.constantFrom(undefined, 'a', 'b'),
      deadline: fc.integer({ min: 0, max: 6 }),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('take' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('settle' as const), of: fc.nat() }) },
)

t.test('whatever happens, each row is taken once or settled, in the order of its tenant', async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const queue = new FairQueue<Named>()
      const alone = new Map<string | undefined, DeadlineQueue<Named>>()
      const settled = new Set<number>()
      const pushed: Named[] = []
      const left = new Map<number, number>()
      const check = (holds: boolean, what: string) => {
        if (!holds) throw new Error(what)
      }
      for (const step of actions) {
        if (step.type === 'push') {
          const name = pushed.length
          const slice = create(name, step.tenant, step.count, step.deadline, () => !settled.has(name))
          pushed.push(slice)
          left.set(name, step.count)
          queue.push(slice)
          if (!alone.has(step.tenant)) alone.set(step.tenant, new DeadlineQueue())
          alone.get(step.tenant)!.push({ ...slice })
        } else if (step.type === 'take') {
          const peeked = queue.peek()?.name
          const taken = queue.shiftRows(step.count)
          check(taken?.name === peeked, 'what is shown first is taken first')
          if (taken === undefined) check(left.size === 0, 'a queue that answers nothing is empty')
          else {
            const expected = alone.get(taken.tenant)!.shiftRows(step.count)!
            check(expected.name === taken.name && expected.count === taken.count, 'the order of its tenant')
            const rest = left.get(taken.name)! - taken.count
            if (rest === 0) left.delete(taken.name)
            else left.set(taken.name, rest)
          }
        } else if (left.size > 0) {
          const [name, rows] = [...left][step.of % left.size]!
          settled.add(name)
          left.delete(name)
          queue.forget(pushed[name]!.tenant, 1, rows)
          alone.get(pushed[name]!.tenant)!.forget(1, rows)
        }
        const rows = [...left.values()].reduce((sum, count) => sum + count, 0)
        check(queue.rows === rows && queue.slices === left.size, 'it counts live rows and slices')
      }
    }),
    { numRuns: randomCases(500) },
  )
})
