import t from 'tap'
import { RefusalDelay } from '../../../src/server/security/rate-limits.ts'

function start() {
  const clock = { now: 0 }
  const delay = new RefusalDelay(() => clock.now)
  const held = (key: string, refusals: number) =>
    Array.from({ length: refusals }, () => delay.next(key)).filter((ms) => ms > 0)
  return { clock, held }
}

t.test('the first refusals are immediate, those of a flood are held, for different times', async (t) => {
  const { held } = start()
  t.same(held('a', 100), [])
  const times = held('a', 50)
  t.equal(times.length, 50)
  t.ok(times.every((ms) => ms >= 150 && ms <= 450))
  t.ok(new Set(times).size > 40, 'they do not return together')
  t.same(held('b', 100), [], 'another key has its own')
})

t.test('some a second are immediate in the long run', async (t) => {
  const { clock, held } = start()
  held('a', 200)
  clock.now += 1000
  t.equal(held('a', 50).length, 40)
  clock.now += 60_000
  t.equal(held('a', 150).length, 50, 'after a pause as many as at first')
})
