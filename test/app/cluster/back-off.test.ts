import t from 'tap'
import { backOff } from '../../../src/app/cluster/group.ts'

t.test('the first time nothing is waited, then longer and longer, up to a bound', async (t) => {
  const delays: number[] = []
  for (let i = 0, previous: number | undefined; i < 10; i++) {
    previous = backOff(10, previous)
    delays.push(previous)
  }
  t.same(delays.slice(0, 4), [0, 500, 1000, 2000])
  t.same(delays.slice(-2), [30_000, 30_000])
})

t.test('one that lived long is replaced at once', async (t) => {
  t.equal(backOff(3_600_000, 30_000), 0)
})
