import t from 'tap'
import { invalidRequest, maxViolations, Violations } from '../../../../src/model/serving/features/problems.ts'

t.test('no problem throws nothing', async (t) => {
  t.doesNotThrow(() => new Violations().throwIfAny())
})

t.test('problems are thrown all at once, the first of them in the message', async (t) => {
  const problems = new Violations()
  problems.add('/a', 'is wrong')
  problems.add('/b', 'too')
  t.throws(() => problems.throwIfAny(), {
    code: 'INVALID_REQUEST',
    message: '/a is wrong (and 1 more)',
    problems: [
      { path: '/a', message: 'is wrong' },
      { path: '/b', message: 'too' },
    ],
  })
})

t.test('a problem of the body as a whole is said of the body', async (t) => {
  t.equal(invalidRequest([{ path: '', message: 'must be an object' }]).message, 'The body must be an object')
})

t.test('an invalid request without a problem still says so', async (t) => {
  t.equal(invalidRequest([]).message, 'The request is invalid')
})

t.test('the hundredth problem ends the search: it is thrown with all before it', async (t) => {
  const problems = new Violations()
  for (let i = 0; i < 99; i++) problems.add(`/${i}`, 'is wrong')
  t.equal(problems.full, false)
  t.throws(() => problems.add('/99', 'is wrong'), { code: 'INVALID_REQUEST', message: '/0 is wrong (and 99 more)' })
  t.equal(problems.list.length, 100)
  t.equal(maxViolations, 100)
})

t.test('where rows are left out, the hundredth problem is the last that is listed, or made a message of', async (t) => {
  const problems = new Violations()
  t.equal(problems.leaveOut(), true)
  let messages = 0
  for (let i = 0; i < 150; i++) problems.add(`/${i}`, () => `is wrong ${messages++}`)
  t.equal(problems.full, true)
  t.equal(messages, 100)
  t.same(problems.list.at(-1), { path: '/99', message: 'is wrong 99' })
})

t.test('nothing is left out where the request is refused already', async (t) => {
  const problems = new Violations([{ path: '/options/raw', message: 'must be true or false' }])
  t.equal(problems.leaveOut(), false)
  t.throws(() => problems.throwIfAny(), { message: '/options/raw must be true or false' })
})

t.test('what was wrong before is thrown with what is found since, or not yet', async (t) => {
  const problems = new Violations([{ path: '/a', message: 'is wrong' }])
  t.doesNotThrow(() => problems.throwIfMore(1))
  problems.add('/b', 'too')
  t.throws(() => problems.throwIfMore(1), { message: '/a is wrong (and 1 more)' })
})
