import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { startTestServer } from '../../../support/server.ts'
import { serving } from '../../../support/serving-body.ts'

const models = join(import.meta.dirname, '../../../../../models')
const { fastify } = await startTestServer(t, { models })
const document = (await fastify.inject('/docs/json')).json() as any
const { post } = document.paths['/v1/models/{model}:predict']
const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false })
ajv.addSchema(document, 'document')

/** Numbers within a ten-thousandth: processors differ in the last digits. */
function isClose(answer: unknown, documented: unknown): boolean {
  if (typeof documented === 'number') return Math.abs((answer as number) / documented - 1) < 1e-4
  if (typeof documented !== 'object' || documented === null) return answer === documented
  const keys = Object.keys(documented)
  return (
    JSON.stringify(Object.keys(answer as object)) === JSON.stringify(keys) &&
    keys.every((key) => isClose((answer as any)[key], (documented as any)[key]))
  )
}

t.test("the documentation's examples are answered by the model that comes with the project", async (t) => {
  const requests = post.requestBody.content['application/json'].examples
  const { examples: answers, schema } = post.responses[200].content['application/json']
  const check = ajv.compile({ $ref: schema.$ref.replace('#', 'document#') })
  t.same(Object.keys(requests), Object.keys(answers))
  t.equal(Object.keys(requests).length, 4)
  for (const [name, { value }] of Object.entries<any>(requests)) {
    const { status, text } = await serving(fastify, 'ads-funnel:predict', value)
    t.equal(status, 200, text)
    t.ok(isClose(JSON.parse(text), answers[name].value), `${name}: ${text}`)
    t.ok(check(JSON.parse(text)), `${name}: as its schema says`)
  }
  t.notOk(check({ predictions: 7 }), 'the check does look')
})

t.test('the example of metadata is a part of what the model says', async (t) => {
  const { examples } = document.paths['/v1/models/{model}/metadata'].get.responses[200].content['application/json']
  t.match((await fastify.inject('/v1/models/ads-funnel/metadata')).json(), examples.answer.value)
})
