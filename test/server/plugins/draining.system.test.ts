import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify, drain, predict } = await startTestServer(t, { models })
const one = { context: { hour: 1 }, candidates: [{ campaign: 'c', price: 1 }] }

t.test('answers keep their connection before, and close it while draining', async (t) => {
  t.teardown(() => {
    drain.draining = false
  })
  t.not((await predict(one)).headers.connection, 'close')
  drain.draining = true
  const answered = await predict(one)
  t.same([answered.status, answered.headers.connection], [200, 'close'])
  for (const url of ['/livez', '/readyz', '/models', '/metrics', '/nothing', '/%zz', '/predict'])
    t.equal((await fastify.inject(url)).headers.connection, 'close', url)
  t.equal((await predict({})).headers.connection, 'close', 'an error')
})

t.test('the socket is really closed once it is answered', async (t) => {
  t.teardown(() => {
    drain.draining = false
  })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  drain.draining = true
  const status = await new Promise((resolve, reject) => {
    const sent = request({ port, path: '/livez', headers: { connection: 'keep-alive' } }, (answer) => {
      answer.resume()
      answer.socket.once('close', () => resolve(answer.statusCode))
    })
    sent.once('error', reject)
    sent.end()
  })
  t.equal(status, 200)
})
