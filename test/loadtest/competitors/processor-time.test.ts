import t from 'tap'
import { parseMachineStat, parseStat } from '../../../loadtest/competitors/processor-time.ts'

t.test('a process tells its group and its processor time, whatever its name', async (t) => {
  for (const name of ['node', 'a b) c', '((('])
    t.same(parseStat(`42 (${name}) S 1 40 40 0 -1 4194304 900 0 0 0 250 50 7 9 20 0 12 0 1 2 3\n`), {
      group: 40,
      seconds: 3,
    })
  t.equal(parseStat(''), undefined)
})

t.test('the machine is busy with all but idling and waiting', async (t) => {
  t.equal(parseMachineStat('cpu  100 10 50 9000 700 1 2 37 0 0\ncpu0 50 5 25 4500 350 0 1 18 0 0\n'), 2)
  t.ok(Number.isNaN(parseMachineStat('')))
})
