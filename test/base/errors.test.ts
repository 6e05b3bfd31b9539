import t from 'tap'
import { listProblems, ModelError, modelErrorCodes, reasonOf } from '../../src/base/errors.ts'

t.test('an error carries its code, problems, stage, time to wait, and cause', async (t) => {
  const cause = new Error('below')
  const problems = [{ path: '/a', message: 'is wrong' }]
  const error = new ModelError('QUEUE_FULL', 'full', { problems, retryAfterSeconds: 2, stage: 'queue', cause })
  t.match(error, {
    name: 'ModelError',
    code: 'QUEUE_FULL',
    message: 'full',
    problems,
    retryAfterSeconds: 2,
    stage: 'queue',
  })
  t.equal(error.cause, cause)
  t.ok(error instanceof Error)
})

t.test('an error without details has none', async (t) => {
  const error = new ModelError('NOT_READY', 'not yet')
  t.same([error.problems, error.retryAfterSeconds, error.stage], [undefined, undefined, undefined])
  t.notOk('cause' in error)
})

t.test('no code is listed twice', async (t) => {
  t.equal(new Set(modelErrorCodes).size, modelErrorCodes.length)
})

t.test('the reason of an error is its message, of anything else its text', async (t) => {
  t.same([new Error('bad'), 'bad', 3, undefined].map(reasonOf), ['bad', 'bad', '3', 'undefined'])
})

t.test('a problem of several items is said once, with their number', async (t) => {
  const list = (paths: string[], message: string) => paths.map((path) => ({ path, message }))
  const problems = [
    ...list(['/fields/3/column', '/fields/4/column', '/fields/12/column'], 'is a list'),
    ...list(['/rows/0/land', '/rows/0/city', '/rows/1/city'], 'is no field'),
    ...list([''], 'is damaged'),
  ]
  t.same(listProblems(problems), [
    '/fields/3/column is a list (and 2 more places)',
    '/rows/0/land is no field',
    '/rows/0/city is no field (and 1 more place)',
    'is damaged',
  ])
  const many = Array.from({ length: 12 }, (_, i) => ({ path: `/${i}`, message: `is ${i}` }))
  t.equal(listProblems(many).length, 11)
  t.equal(listProblems(many).at(-1), 'and 2 more problems')
})
