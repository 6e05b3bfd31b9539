import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

const { fastify } = await startTestServer(t, { models: await temporaryFolder(t) })

const problem = 'application/problem+json'
const text = 'application/json'

for (const [url, accept, type] of [
  ['/nothing', undefined, problem],
  ['/nothing', '*/*', problem],
  ['/nothing', 'application/json', text],
  ['/nothing', 'application/json, application/problem+json', problem],
  ['/', 'application/json', undefined],
  ['/v2/nothing', undefined, text],
  ['/v2/nothing', '*/*', text],
  ['/v2/nothing', 'application/json', text],
  ['/v2/nothing', 'application/problem+json', problem],
  ['/v1/nothing', undefined, text],
  ['/v1/nothing', 'application/problem+json;q=0.9', problem],
  ['/v1/nothing', 'text/html', text],
  ['/v2models/ads', undefined, problem],
  ['/v2models/ads', 'application/json', text],
] as const) {
  t.test(`${url} with Accept ${accept}`, async (t) => {
    const answer = await fastify.inject({ url, headers: accept === undefined ? {} : { accept } })
    if (type === undefined) {
      t.equal(answer.statusCode, 200)
      return
    }
    t.equal(answer.statusCode, 404)
    t.equal(answer.headers['content-type'], type)
    const { detail, error } = answer.json()
    t.match(type === text ? error : detail, /^There is nothing at /)
    t.equal(type === text ? detail : error, undefined)
  })
}

t.test('errors at known paths have the form of the path, whatever a client accepts', async (t) => {
  const headers = { accept: 'application/json' }
  const answer = await fastify.inject({ url: '/predict', headers })
  t.same([answer.statusCode, answer.headers['content-type']], [405, problem])
  const infer = await fastify.inject({ url: '/v2/models/nothing', headers: { accept: problem } })
  t.same([infer.statusCode, infer.headers['content-type']], [404, text])
})
