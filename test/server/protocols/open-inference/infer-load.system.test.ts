import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { createFakeAdmission } from '../../../support/fakes/admission.ts'
import { createHeldPool } from '../../../support/held-pool.ts'
import * as body from '../../../support/infer-body.ts'
import { asBytes, asJson, errorOf, ids, inferBody, numbers } from '../../../support/infer-body.ts'
import { type Protocol, testClosing, testLoad } from '../../../support/protocol-load.ts'
import { startTestServer } from '../../../support/server.ts'
import { until } from '../../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
t.teardown(() => inner.close())
const held = createHeldPool(inner)
const admission = createFakeAdmission(systemClock.now)
admission.refuses = (deadlineMs) => deadlineMs === 7
const server = await startTestServer(t, {
  models,
  limits: { pool: held.pool, maxQueueRows: 4 },
  admission,
})
const { fastify, metrics } = server
t.beforeEach(() => {
  admission.asked.length = 0
})
const infer = (sent: body.InferBody) => body.infer(fastify, sent)

t.test('the deadline is the timeout in µs, else the header', async (t) => {
  const timed = (timeout: number, headers = {}) =>
    infer({ ...inferBody({ ...asJson, parameters: { timeout } }), headers })
  t.equal((await timed(600_000_000)).status, 200)
  t.equal((await timed(0)).status, 200, 'as if there were none')
  held.hold()
  const late = timed(20_000, { 'x-deadline-ms': '600000' })
  t.match(errorOf(t, await late, 504), /deadline/)
  const header = infer({ ...inferBody(asJson), headers: { 'x-deadline-ms': '20' } })
  t.match(errorOf(t, await header, 504), /deadline/)
  held.release()
  const wrong = await infer({ ...inferBody(asJson), headers: { 'x-deadline-ms': 'soon' } })
  t.match(errorOf(t, wrong, 400), /x-deadline-ms/)
  t.same(admission.asked, [600_000, 600_000, 600_000, 20, 600_000], 'admission goes by headers')
})

const { payload, headers } = inferBody(asBytes, ids, numbers)
const protocol: Protocol = {
  server,
  held,
  ask: (headers = {}, body) =>
    infer(body === undefined ? { ...inferBody(asJson), headers } : { payload: body, headers }),
  written: [
    `POST /v2/models/ads/infer HTTP/1.1\r\nhost: x\r\ncontent-length: ${payload.length}\r\n` +
      `Inference-Header-Content-Length: ${headers['inference-header-content-length']}\r\n\r\n`,
    payload,
  ],
}

testLoad(t, protocol)

t.test('an upload that its client gives up is counted as cancelled', async (t) => {
  const { port } = fastify.server.address() as AddressInfo
  const client = connect(port, '127.0.0.1')
  const head = 'POST /v2/models/ads/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{'
  await new Promise((resolve) => client.write(head, resolve))
  await until(() => admission.asked.length === 1)
  client.destroy()
  const line = 'multigate_requests_total{model="",version="",outcome="cancelled"} 1'
  await until(async () => (await metrics.registry.metrics()).includes(line))
  t.match(await metrics.registry.metrics(), line)
})

testClosing(t, protocol)
