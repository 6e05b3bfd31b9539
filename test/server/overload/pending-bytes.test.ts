import t from 'tap'
import { createMemoryBudget } from '../../../src/server/overload/pending-bytes.ts'

/** Bodies by name, and who was given up. */
function setUp(maxBytes: number) {
  const bodies = createMemoryBudget({ maxBytes }).part()
  const givenUp: string[] = []
  const open = (name: string) => bodies.open(() => givenUp.push(name))
  return { bodies, givenUp, open }
}

t.test('what has arrived counts until the body is closed', async (t) => {
  const { bodies, open } = setUp(100)
  const [one, other] = [open('one'), open('other')]
  t.equal(bodies.bytes, 0, 'what is only announced takes no memory')
  one.add(30)
  one.add(10)
  other.add(60)
  t.equal(bodies.bytes, 100)
  one.close()
  one.close()
  t.equal(bodies.bytes, 60)
  one.add(1000)
  t.equal(bodies.bytes, 60, 'what comes later is not kept')
})

t.test('the largest makes room for the others', async (t) => {
  const { bodies, givenUp, open } = setUp(100)
  const [small, large, middle] = [open('small'), open('large'), open('middle')]
  large.add(60)
  middle.add(40)
  small.add(1)
  t.same(givenUp, ['large'])
  t.equal(bodies.bytes, 41)
  large.add(50)
  large.close()
  t.equal(bodies.bytes, 41, 'who has been given up holds nothing')
  middle.add(59)
  t.equal(bodies.bytes, 100)
  middle.add(1)
  t.same(givenUp, ['large', 'middle'], 'it may be the one that has just grown')
  t.equal(bodies.bytes, 1)
})

t.test('as many as are needed make room', async (t) => {
  const { bodies, givenUp, open } = setUp(100)
  for (const name of ['a', 'b', 'c', 'd']) open(name).add(25)
  open('last').add(24)
  t.same(givenUp, ['a'])
  open('huge').add(90)
  t.same(givenUp, ['a', 'huge'])
  t.equal(bodies.bytes, 99)
})

t.test('a lone body may be larger than all that is allowed', async (t) => {
  const { bodies, givenUp, open } = setUp(10)
  const lone = open('lone')
  open('empty')
  lone.add(100)
  t.same(givenUp, [])
  open('other').add(1)
  t.same(givenUp, ['lone'])
  t.equal(bodies.bytes, 1)
})

t.test('who makes no progress makes room first, however small', async (t) => {
  let now = 0
  const budget = createMemoryBudget({ maxBytes: 100, now: () => now })
  const answers = budget.part()
  const givenUp: string[] = []
  const read = { idle: 0, slow: 0 }
  const open = (name: string, progress?: () => number) => answers.open(() => givenUp.push(name), progress)
  open('idle', () => read.idle).add(20)
  open('slow', () => read.slow).add(20)
  open('new', () => 0).add(0)
  now = 2000
  read.slow = 5
  const busy = open('busy')
  busy.add(55)
  t.same(givenUp, [])
  busy.add(10)
  t.same(givenUp, ['idle'], 'its client has taken nothing for two seconds')
  t.equal(answers.bytes, 85)
  now = 2500
  busy.add(20)
  t.same(givenUp, ['idle', 'busy'], 'all others have made progress: the largest')
})

t.test('kinds share the budget, and are counted apart', async (t) => {
  const budget = createMemoryBudget({ maxBytes: 100 })
  const [bodies, answers] = [budget.part(), budget.part()]
  const givenUp: string[] = []
  bodies.open(() => givenUp.push('body')).add(70)
  answers.open(() => givenUp.push('answer')).add(30)
  t.same([bodies.bytes, answers.bytes], [70, 30])
  answers.open(() => givenUp.push('another')).add(1)
  t.same(givenUp, ['body'])
  t.same([bodies.bytes, answers.bytes], [0, 31])
})

t.test('ten thousand that hold the same are dropped in the time of a few', async (t) => {
  const bodies = createMemoryBudget({ maxBytes: 10_000 * 100 }).part()
  let givenUp = 0
  for (let i = 0; i < 20_000; i++) bodies.open(() => givenUp++).add(100)
  t.equal(givenUp, 10_000)
  t.equal(bodies.bytes, 10_000 * 100)
})
