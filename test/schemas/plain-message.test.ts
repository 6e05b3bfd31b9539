import t from 'tap'
import Type from 'typebox'
import Value from 'typebox/value'
import { plainMessage, plainProblems } from '../../src/schemas/check.ts'

const cases = [
  [Type.Boolean(), '1', 'must be true or false'],
  [Type.Literal('x'), 'y', 'must be "x"'],
  [Type.Integer(), 1.5, 'must be an integer'],
  [Type.String({ minLength: 1 }), '', 'must have at least 1 character'],
  [Type.String({ minLength: 2 }), '', 'must have at least 2 characters'],
  [Type.String({ maxLength: 1 }), 'ab', 'must have at most 1 character'],
  [Type.String({ pattern: '^x' }), 'y', 'must match pattern "^x"'],
  [Type.Array(Type.String(), { minItems: 1 }), [], 'must have at least 1 item'],
  [Type.Array(Type.String(), { maxItems: 1 }), ['a', 'b'], 'must have at most 1 item'],
  [Type.Number({ minimum: 1 }), 0, 'must be at least 1'],
  [Type.Number({ maximum: 1 }), 2, 'must be at most 1'],
  [Type.Number({ exclusiveMinimum: 0 }), 0, 'must be greater than 0'],
  [Type.Number({ exclusiveMaximum: 1 }), 1, 'must be less than 1'],
  [Type.Number({ multipleOf: 2 }), 1, 'must be a multiple of 2'],
] as const

for (const [schema, value, message] of cases) {
  t.test(message, async (t) => {
    t.same(Value.Errors(schema, value).flatMap(plainProblems), [{ path: '', message }])
  })
}

t.test('each missing property is a problem at its own path', async (t) => {
  const schema = Type.Object({ rank: Type.Object({ by: Type.String(), 'a/b': Type.String() }) })
  t.same(Value.Errors(schema, { rank: {} }).flatMap(plainProblems), [
    { path: '/rank/by', message: 'is required' },
    { path: '/rank/a~1b', message: 'is required' },
  ])
})

t.test('Ajv names several types in a list', async (t) => {
  t.equal(
    plainMessage({ keyword: 'type', instancePath: '', params: { type: ['string', 'null'] } }),
    'must be a string or null',
  )
})
