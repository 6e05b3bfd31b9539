import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import Type from 'typebox'
import { documentSchemas, finishDocument, optionalBody } from '../../../src/server/plugins/openapi-schemas.ts'

const Kind = Type.Union([Type.Literal('a', { description: 'the first' }), Type.Literal('b')], { description: 'A kind' })
const Item = Type.Object({ kind: Kind, weights: Type.Optional(Type.Record(Type.String(), Type.Number())) })
const List = Type.Object({
  items: Type.Array(Item),
  best: Type.Optional(Item),
  nothing: Type.Union([Item, Type.Null()]),
})

t.test('parts that have a name are references, optional ones too', async (t) => {
  const { List: list, Item: item } = documentSchemas({ List, Item }) as any
  t.equal(list.$id, 'multigate.List')
  t.same(list.properties.items.items, { $ref: 'multigate.Item#' })
  t.same(list.properties.best, { $ref: 'multigate.Item#' })
  t.same(list.properties.nothing.anyOf[0], { $ref: 'multigate.Item#' })
  t.same(list.required, ['items', 'nothing'])
  t.equal(item.$id, 'multigate.Item')
  t.same(Object.keys(item.properties), ['kind', 'weights'])
})

t.test('literals are one enum that keeps what is said of them, records are open objects', async (t) => {
  const { Item: item } = documentSchemas({ Item }) as any
  t.same(item.properties.kind, { type: 'string', enum: ['a', 'b'], description: 'A kind: `a` the first' })
  t.same(item.properties.weights, { type: 'object', additionalProperties: { type: 'number' } })
  const mixed = Type.Union([Type.Literal('error'), Type.Object({ default: Type.String() })])
  t.equal((documentSchemas({ Mixed: mixed }) as any).Mixed.anyOf.length, 2, 'other unions stay')
  const record = Type.Record(Type.String({ pattern: '^x' }), Type.Number())
  t.same(Object.keys((documentSchemas({ Some: record }) as any).Some.patternProperties), ['^x'])
})

t.test('the same values fit as before', async (t) => {
  const ajv = new Ajv2020({ strict: false })
  const before = ajv.compile(List)
  for (const schema of Object.values(documentSchemas({ List, Item }))) {
    ajv.addSchema(schema)
  }
  const after = ajv.getSchema('multigate.List')!
  for (const [value, fits] of [
    [{ items: [{ kind: 'a' }], nothing: null }, true],
    [{ items: [{ kind: 'b', weights: { x: 1 } }], nothing: { kind: 'a' } }, true],
    [{ items: [{ kind: 'c' }], nothing: null }, false],
    [{ items: [{ kind: 'a', weights: { x: '1' } }], nothing: null }, false],
    [{ items: [], best: 7, nothing: null }, false],
    [{ items: [] }, false],
  ] as const) {
    t.equal(before(value), fits, JSON.stringify(value))
    t.equal(after(value), fits, JSON.stringify(value))
  }
})

t.test('a finished document says of every operation what it may refuse', async (t) => {
  const unreadable = { description: 'unreadable' }
  const reference = { $ref: '#/components/schemas/A' }
  const body = (schema: object) => ({ required: true, content: { 'application/json': { schema } } })
  const document = finishDocument(
    {
      paths: {
        '/a': { get: { responses: { 200: { description: 'fine' } } } },
        '/b': {
          post: { requestBody: body({ allOf: [reference] }), responses: { 404: { description: 'none' } } },
        },
        '/c': { post: { requestBody: body({ allOf: [reference], [optionalBody]: true }), responses: {} } },
      },
      components: { schemas: { A: { allOf: [reference, { type: 'object' }] } } },
    },
    unreadable,
  ) as any
  t.same(document.paths['/a'].get.responses, { 200: { description: 'fine' }, 400: unreadable })
  t.same(document.paths['/b'].post.responses, { 404: { description: 'none' } })
  t.same(document.paths['/b'].post.requestBody, body(reference))
  t.same(document.paths['/c'].post.requestBody, { ...body(reference), required: false }, 'it may be left out')
  t.equal(document.components.schemas.A.allOf.length, 2)
})
