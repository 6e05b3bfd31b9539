import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createFakeAdmission } from '../../support/fakes/admission.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const body = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }

t.test('what the thread has no time for is refused by its headers, and counted', async (t) => {
  const admission = createFakeAdmission(systemClock.now)
  const { predict, metrics } = await startTestServer(t, { models, admission })
  t.equal((await predict(body)).status, 200)
  admission.refuses = () => true
  const refused = await predict('{"this body": is never read', { 'x-deadline-ms': '60' })
  t.same([refused.status, refused.body.code, refused.headers['retry-after']], [429, 'QUEUE_FULL', '3'])
  const counts = await metrics.registry.metrics()
  t.match(counts, /multigate_shed_total\{model="",version="",reason="busy"\} 1/)
  t.match(counts, /multigate_requests_total\{model="",version="",outcome="queue_full"\} 1/)
  // The second deadline is the header's; one that is no number is told by the handler.
  t.same(admission.asked, [600_000, 60])
  admission.refuses = () => false
  t.equal((await predict(body, { 'x-deadline-ms': 'soon' })).status, 400)
  t.equal(admission.asked.at(-1), 600_000)
})

t.test('every request that entered leaves: answered, refused by the handler, or given up', async (t) => {
  const admission = createFakeAdmission(systemClock.now)
  const { fastify } = await startTestServer(t, { models, admission })
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  for (const text of [JSON.stringify(body), '{}', 'no JSON']) {
    await (
      await fetch(`${url}/predict`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text })
    ).text()
  }
  const client = connect(port, '127.0.0.1')
  client.write('POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
  await until(() => admission.asked.length === 4)
  client.destroy()
  await until(() => admission.inside === 0)
  t.equal((await fetch(`${url}/models`)).status, 200)
  t.equal(admission.asked.length, 4, 'other paths need no admission')
})
