import t from 'tap'
import Type from 'typebox'
import type { Violation } from '../../src/base/errors.ts'
import { check } from '../../src/schemas/check.ts'

function problemsOf(schema: Type.TSchema, value: unknown): string[] {
  const problems: Violation[] = []
  check(schema, value, '', problems)
  return problems.map(({ path, message }) => `${path} ${message}`)
}

const tagged = Type.Union([
  Type.Object({ kind: Type.Literal('a'), size: Type.Integer({ default: 3 }) }),
  Type.Object({ kind: Type.Literal('b'), names: Type.Array(Type.String()) }),
])
const untagged = Type.Union([
  Type.Object({ file: Type.String(), trim: Type.Boolean({ default: true }) }),
  Type.Object({ rows: Type.Integer() }),
])

t.test('fills in defaults without touching what was given', async (t) => {
  const given = Object.freeze({ kind: 'a' })
  t.same(check(tagged, given, '', []), { kind: 'a', size: 3 })
  t.same(check(untagged, { file: 'x' }, '', []), { file: 'x', trim: true })
  const list = Type.Object({ list: Type.Array(Type.String(), { default: ['x'] }) })
  const filled = check(list, {}, '', []) as { list: string[] }
  filled.list.push('y')
  t.same(check(list, {}, '', []), { list: ['x'] }, 'defaults are copies')
})

t.test('speaks of the member that was meant', async (t) => {
  t.same(problemsOf(tagged, { kind: 'b', names: ['x', 1] }), ['/names/1 must be a string'])
  t.same(problemsOf(tagged, { kind: 'c' }), ['/kind must be "a" or "b"'])
  t.same(problemsOf(tagged, {}), ['/kind must be "a" or "b"'])
  t.same(problemsOf(untagged, { rows: 1.5 }), ['/rows must be an integer'])
  t.same(problemsOf(untagged, 'x'), [' must be an object with file, trim or an object with rows'])
  t.same(problemsOf(Type.Union([Type.Literal('x'), Type.Number()]), 'y'), [' must be "x" or a number'])
})

t.test('a name that is nearly right is recognised', async (t) => {
  const kinds = ['vocabulary', 'numeric'].map((kind) => Type.Object({ kind: Type.Literal(kind) }))
  t.same(problemsOf(Type.Union(kinds), { kind: 'vocabulry' }), [
    '/kind must be "vocabulary" or "numeric"; did you mean vocabulary?',
  ])
  const schedule = Type.Object({ schedule: Type.Union([Type.Literal('constant'), Type.Literal('cosine')]) })
  t.same(problemsOf(schedule, { schedule: 'cosin' }), [
    '/schedule must be "constant" or "cosine"; did you mean cosine?',
  ])
  const strict = Type.Object({ tables: Type.Optional(Type.String()) }, { additionalProperties: false })
  t.same(problemsOf(strict, { table: 'x' }), ['/table is unknown; known are tables; did you mean tables?'])
})

t.test('paths are JSON pointers', async (t) => {
  const schema = Type.Object({ 'a/b~c': Type.Object({ d: Type.String() }) }, { additionalProperties: false })
  t.same(problemsOf(schema, { 'a/b~c': {} }), ['/a~1b~0c/d is required'])
  t.same(problemsOf(schema, { 'a/b~c': { d: 'x' }, 'x/y': 1 }), ['/x~1y is unknown; known are a/b~c'])
})

t.test('bounds of lists', async (t) => {
  const schema = Type.Array(Type.Integer(), { minItems: 2, uniqueItems: true })
  t.match(problemsOf(schema, [1]), [/at least 2/])
  t.match(problemsOf(schema, [1, 1]), [/duplicate|unique/])
  t.match(problemsOf(schema, {}), [/must be an array/])
})

t.test('repeated strings are found in lists of any length', async (t) => {
  const list = Type.Array(Type.String(), { minItems: 1, uniqueItems: true })
  const words = Array.from({ length: 100_000 }, (_, i) => `word ${i}`)
  t.same(problemsOf(list, words), [])
  t.same(problemsOf(list, [...words, 'word 7']), [' must not have duplicate items'])
  t.same(problemsOf(list, []), [' must have at least 1 item'])
  t.same(problemsOf(list, ['x', 1]), ['/1 must be a string'])
  const names = Type.Array(Type.String({ pattern: '^[a-z]+$' }))
  t.same(problemsOf(names, ['a', 'B']), ['/1 must match pattern "^[a-z]+$"'])
})
