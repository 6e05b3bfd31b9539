import t from 'tap'
import { account, bindLosses, type Call, type Loss } from '../../../loadtest/chaos/accounts.ts'

const call = (more: Partial<Call>): Call => ({
  ...{ at: 1000, end: 1100, outcome: 'right', reason: '', port: 4000, duplicates: 0 },
  ...more,
})
const killed: Loss = { kind: 'killed process', pid: 7, at: 1050, until: 1060, ports: new Set([4000, 4001]) }

t.test('a request is bound to a kill if the killed process held its connection then', async (t) => {
  const lost = (more: Partial<Call>) => bindLosses([call({ outcome: 'lost', ...more })], [killed]).size === 1
  t.ok(lost({}))
  t.notOk(lost({ port: 4002 }), 'another process held it')
  t.notOk(lost({ end: 1040 }), 'it was lost before')
  t.notOk(lost({ at: 4000, end: 4100 }), 'it was sent long after')
  t.notOk(lost({ at: 900, end: 20_000 }), 'it was lost long after')
  t.notOk(lost({ outcome: 'wrong' }))
})

t.test('a connection loses one request at a kill, not two', async (t) => {
  const calls = [call({ outcome: 'lost' }), call({ outcome: 'lost' }), call({ outcome: 'lost', port: 4001 })]
  t.equal(bindLosses(calls, [killed]).size, 2)
  t.match(account(calls, [], [killed]).total, { sent: 3, bound: 2, unbound: 1 })
})

t.test('a dead thread fails what its process had before, and nothing else', async (t) => {
  const died: Loss = { kind: 'killed thread', pid: 7, at: 1050, until: 1050, ports: new Set() }
  const failed = (more: Partial<Call>) => bindLosses([call({ outcome: 'failed', pid: 7, ...more })], [died]).size === 1
  t.ok(failed({}))
  t.notOk(failed({ pid: 8 }))
  t.notOk(failed({ at: 1051 }), 'it was sent later')
  t.notOk(failed({ outcome: 'lost' }), 'a thread takes no connection with it')
})

t.test('an answer may be late where its process stood still', async (t) => {
  const frozen: Loss = { kind: 'frozen process', pid: 7, at: 1050, until: 2050, ports: new Set([4000]) }
  const calls = [call({ outcome: 'late', end: 2500 }), call({ outcome: 'late', end: 2500, port: 4001 })]
  const { lateCalls, losses } = account(calls, [], [frozen])
  t.same(lateCalls, [calls[1]])
  t.match(losses, [{ lost: 0, failed: 0, late: 1 }])
})

t.test('a request counts for each kind of fault that it met, and once in total', async (t) => {
  const calls = [
    call({ at: 0, end: 10 }),
    call({ at: 90, end: 110 }),
    call({ at: 150, end: 160, outcome: 'refused', reason: 'QUEUE_FULL' }),
    call({ at: 150, end: 160, duplicates: 1 }),
    call({ at: 300, end: 300, outcome: 'no listener', reason: 'ECONNREFUSED' }),
    call({ at: 300, end: 300, outcome: 'not sent' }),
  ]
  const events = [
    { kind: 'swap' as const, at: 100, end: 200, what: '' },
    { kind: 'swap' as const, at: 140, end: 155, what: '' },
    { kind: 'burst' as const, at: 155, end: 170, what: '' },
  ]
  const { total, during, refusals } = account(calls, events, [])
  t.match(total, { sent: 5, right: 3, refused: 2, duplicated: 1, notSent: 1, unbound: 0 })
  t.match(during.get('swap'), { events: 2, sent: 3, right: 2, refused: 1 })
  t.match(during.get('burst'), { events: 1, sent: 2 })
  t.match(during.get('none'), { sent: 2, right: 1, refused: 1 })
  t.same(refusals, [
    ['QUEUE_FULL', 1],
    ['ECONNREFUSED', 1],
  ])
})
