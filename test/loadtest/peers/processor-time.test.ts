import t from 'tap'
import { parseStat } from '../../../loadtest/peers/processor-time.ts'

t.test('a process tells its group and its processor time, whatever its name', async (t) => {
  for (const name of ['node', 'a b) c', '((('])
    t.same(parseStat(`42 (${name}) S 1 40 40 0 -1 4194304 900 0 0 0 250 50 7 9 20 0 12 0 1 2 3\n`), {
      group: 40,
      seconds: 3,
    })
  t.equal(parseStat(''), undefined)
})
