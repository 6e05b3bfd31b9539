import { readFile } from 'node:fs/promises'
import t from 'tap'
import { ModelError, modelErrorCodes } from '../../../src/base/errors.ts'
import { ProblemCode } from '../../../src/schemas/problem.ts'
import { problemTable, toProblem } from '../../../src/server/errors/problem-details.ts'

const codes = (ProblemCode as unknown as { anyOf: { const: string }[] }).anyOf.map((choice) => choice.const)
/** Root of the project: this file runs from build/test/server. */
const root = new URL('../../../../', import.meta.url)

t.test('the table has every code, with an error’s status and a title of its own', async (t) => {
  t.same(Object.keys(problemTable), codes)
  const entries = Object.values(problemTable)
  for (const { status } of entries) t.ok(Number.isInteger(status) && status >= 400 && status < 600)
  t.equal(new Set(entries.map(({ title }) => title)).size, entries.length)
})

t.test('docs/errors.md lists exactly these codes, with their status', async (t) => {
  const text = await readFile(new URL('docs/errors.md', root), 'utf8')
  const listed = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm)]
  t.same(
    listed.map(([, code, status]) => [code, Number(status)]),
    Object.entries(problemTable).map(([code, { status }]) => [code, status]),
  )
  for (const [, code, , when, what] of listed) t.ok(when!.length > 10 && what!.length > 10, `${code} is explained`)
  const mentioned = new Set([...text.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)].map(([word]) => word))
  // Reasons of a version that failed to load are codes of models.
  const known: readonly string[] = [...codes, ...modelErrorCodes]
  for (const word of mentioned) t.ok(known.includes(word) || word.startsWith('MULTIGATE_'), `${word} is a code`)
})

t.test('every way in which a model refuses or fails has a code on the wire', async (t) => {
  const unforeseen = ['INVALID_BUNDLE', 'UNSUPPORTED_GRAPH', 'INCOMPATIBLE', 'ENGINE_UNAVAILABLE', 'CANCELLED']
  for (const code of modelErrorCodes) {
    const { body } = toProblem(new ModelError(code, 'the inside'), 'id-1')
    t.equal(body.code, unforeseen.includes(code) ? 'INTERNAL' : code)
    t.equal(body.status, problemTable[body.code].status)
    t.equal(body.request_id, 'id-1')
    if (body.code === 'INTERNAL') t.notMatch(body.detail, /the inside/)
    else t.equal(body.detail, 'the inside')
  }
})

t.test('the type names the kind of problem', async (t) => {
  for (const code of codes) {
    const type = `urn:multigate:problem:${code.toLowerCase().replaceAll('_', '-')}`
    if ((modelErrorCodes as readonly string[]).includes(code))
      t.equal(toProblem(new ModelError(code as 'NOT_READY', ''), '').body.type, type)
  }
})

t.test('Retry-After is whole seconds, at least one, and always comes with a full queue', async (t) => {
  const after = (code: 'QUEUE_FULL' | 'NOT_READY', retryAfterSeconds?: number) =>
    toProblem(new ModelError(code, '', retryAfterSeconds === undefined ? {} : { retryAfterSeconds }), '')
      .retryAfterSeconds
  t.equal(after('QUEUE_FULL'), 1)
  t.equal(after('QUEUE_FULL', 0), 1)
  t.equal(after('QUEUE_FULL', 0.01), 1)
  t.equal(after('QUEUE_FULL', 2.1), 3)
  t.equal(after('NOT_READY', 5), 5)
  t.equal(after('NOT_READY'), undefined)
})

t.test('anything thrown becomes a problem', async (t) => {
  for (const thrown of [
    undefined,
    null,
    'text',
    7,
    {},
    new Error('inside'),
    Object.assign(new Error('x'), { statusCode: 200 }),
  ]) {
    const { body } = toProblem(thrown, 'id')
    t.same([body.code, body.status], ['INTERNAL', 500], String(thrown))
  }
  const client = toProblem(Object.assign(new Error('too odd'), { statusCode: 400 }), 'id').body
  t.same([client.code, client.errors], ['INVALID_REQUEST', [{ path: '', message: 'too odd' }]])
})

t.test('names that a client gave are cut', async (t) => {
  const key = 'x'.repeat(4_000_000)
  const message = `is not known here${'!'.repeat(5000)}`
  const error = new ModelError('INVALID_REQUEST', `/context/${key} ${message}`, {
    problems: [{ path: `/context/${key}`, message }],
  })
  const { body } = toProblem(error, 'r')
  const short = `/context/${'x'.repeat(64)}…`
  t.equal(body.errors![0]!.path, short)
  t.ok(body.detail.startsWith(`${short} is not known here`))
  t.ok(JSON.stringify(body).length < 10_000)
  const named = toProblem(new ModelError('MODEL_NOT_FOUND', `There is no model called ${key}`), 'r')
  t.ok(named.body.detail.length < 5000)
})
