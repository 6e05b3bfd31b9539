import t from 'tap'
import Type from 'typebox'
import { allProblems, createChecker, helpfulProblems, itemProblems } from '../../../src/server/plugins/validation.ts'
import { readBody } from '../../../src/server/protocols/open-inference/infer-request.ts'

const Named = Type.Object({ name: Type.String() })

/** So many items, each wrong, that counts how many of them have been looked at. */
function wrongItems(count: number): { items: unknown[]; looked: () => number } {
  const seen = new Set<number>()
  const items = Array.from({ length: count }, (_, i) => ({
    get name() {
      seen.add(i)
      return i
    },
  }))
  return { items, looked: () => seen.size }
}

t.test('items are checked up to the last problem that is reported, and no further', async (t) => {
  const { items, looked } = wrongItems(5000)
  const problems = itemProblems(createChecker(Named), items, '/inputs')
  t.equal(problems.length, 100)
  t.same(problems[99], { path: '/inputs/99/name', message: 'must be a string' })
  t.equal(looked(), 100)
})

t.test('a wrong item behind thousands of good ones is found', async (t) => {
  const items: unknown[] = Array.from({ length: 5000 }, () => ({ name: 'good' }))
  items[4999] = { name: 1 }
  t.same(itemProblems(createChecker(Named), items, ''), [{ path: '/4999/name', message: 'must be a string' }])
})

t.test('unknown names are reported up to the limit; the rest is not shown to the schema', async (t) => {
  const Strict = Type.Object(
    { model: Type.String(), rank: Type.Optional(Type.Object({}, { additionalProperties: false })) },
    { additionalProperties: false },
  )
  let looked = 0
  const body: Record<string, unknown> = { rank: {} }
  for (const holder of [body, body.rank as Record<string, unknown>])
    for (let i = 0; i < 5000; i++) Object.defineProperty(holder, `n${i}`, { enumerable: true, get: () => ++looked })
  // Known names count wherever they stand.
  body.model = 'm'
  const problems = allProblems(createChecker(Strict), body)
  t.equal(problems.length, 100)
  t.ok(problems.every(({ message }) => message === 'is not known here'))
  t.ok(looked <= 400, String(looked))
})

t.test('the JSON part of an inference request is checked tensor by tensor', async (t) => {
  const body = (value: unknown) => Buffer.from(JSON.stringify(value))
  const problemsOf = (value: unknown) => {
    try {
      readBody(body(value), undefined)
    } catch (error) {
      return (error as { problems: { path: string; message: string }[] }).problems
    }
    throw new Error('it was accepted')
  }
  const many = (item: unknown) => Array.from({ length: 20_000 }, () => item)
  for (const inputs of [many({}), many(0), many(null)]) t.equal(problemsOf({ inputs }).length, 100)
  const good = { name: 'a', shape: [1], datatype: 'FP32', data: [1] }
  t.equal(problemsOf({ inputs: [good], outputs: many(0) }).length, 100)
  const long = problemsOf({ inputs: [{ ...good, shape: many(-1) }] })
  t.ok(long.some(({ path, message }) => path === 'input "a"/shape' && message.includes('32')))
  t.ok(long.length <= 100)
  t.same(
    problemsOf({ inputs: [] }).map(({ path }) => path),
    ['/inputs'],
  )
  t.same(problemsOf({}).length, 1)
  t.match(problemsOf([]), [{ path: '' }])
  t.same(
    problemsOf({ id: 7, inputs: [good, { ...good, name: 'b', datatype: 1 }] }).map(({ path }) => path),
    ['/id', 'input "b"/datatype'],
  )
})

t.test('null is as good as absent', async (t) => {
  const checker = createChecker(Type.Object({ id: Type.Optional(Type.Union([Type.String(), Type.Null()])) }))
  t.same(helpfulProblems(checker, { id: 1 }), [{ path: '/id', message: 'must be a string' }])
})
