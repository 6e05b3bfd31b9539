import t from 'tap'
import { invalidRequest, maxProblems, Problems } from '../../../src/model/features/problems.ts'

t.test('no problem throws nothing', async (t) => {
  t.doesNotThrow(() => new Problems().throwIfAny())
})

t.test('problems are thrown all at once, the first of them in the message', async (t) => {
  const problems = new Problems()
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

t.test('at most a hundred problems are listed', async (t) => {
  const problems = new Problems()
  for (let i = 0; i < 150; i++) problems.add(`/${i}`, 'is wrong')
  t.equal(problems.full, true)
  t.equal(problems.list.length, 100)
  t.equal(maxProblems, 100)
  t.same(problems.list.at(-1), { path: '/99', message: 'is wrong' })
})
