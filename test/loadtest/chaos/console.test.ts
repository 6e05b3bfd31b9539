import t from 'tap'
import type { FaultEvent, Loss } from '../../../loadtest/chaos/accounts.ts'
import { type ConsoleEvent, unreported } from '../../../loadtest/chaos/console.ts'

const thread: FaultEvent = { kind: 'killed thread', at: 5000, end: 5400, what: 'a worker thread exits' }
const loss = (kind: Loss['kind'], pid: number, at: number): Loss => ({ kind, pid, at, until: at, ports: new Set() })
const replaced = (at: number): ConsoleEvent => ({
  kind: 'worker_replaced',
  text: 'a worker was replaced',
  at,
  until: at,
})
const stop = 60_000

t.test('a killed thread has to be reported, within fifteen seconds', async (t) => {
  const losses = [loss('killed thread', 7, 5300)]
  t.match(unreported([thread], losses, [], stop), [/^the console did not report killed thread at 5\.0 s/])
  t.same(unreported([thread], losses, [replaced(6000)], stop), [])
  t.equal(unreported([thread], losses, [replaced(25_000)], stop).length, 1)
  t.same(unreported([thread], losses, [], 12_000), [], 'the end leaves no time for it')
})

t.test('unless its process was killed before it could say so', async (t) => {
  const died = (pid: number, at: number) => [loss('killed thread', 7, 5300), loss('killed process', pid, at)]
  t.same(unreported([thread], died(7, 6200), [], stop), [])
  t.equal(unreported([thread], died(8, 6200), [], stop).length, 1, 'another process')
  t.equal(unreported([thread], died(7, 9000), [], stop).length, 1, 'later')
})

t.test('a pin that is removed at once may lie between two readings', async (t) => {
  const swap = (end: number): FaultEvent => ({
    kind: 'swap',
    at: 5000,
    end,
    what: 'version 2 is pinned, then version 3',
  })
  t.same(unreported([swap(7200)], [], [], stop), [])
  t.equal(unreported([swap(9000)], [], [], stop).length, 1)
})

t.test('a process that is killed as it goes on again need not be seen standing still', async (t) => {
  const frozen: FaultEvent = { kind: 'frozen process', at: 5000, end: 6000, what: 'process 7 stands still' }
  const stood: Loss = { kind: 'frozen process', pid: 7, at: 5000, until: 6000, ports: new Set() }
  const killed = (pid: number, at: number): Loss => ({ kind: 'killed process', pid, at, until: at, ports: new Set() })
  t.same(unreported([frozen], [stood, killed(7, 6100)], [], stop), [])
  t.equal(unreported([frozen], [stood, killed(8, 6100)], [], stop).length, 1, 'another process')
  t.equal(unreported([frozen], [stood, killed(7, 8000)], [], stop).length, 1, 'later')
})
