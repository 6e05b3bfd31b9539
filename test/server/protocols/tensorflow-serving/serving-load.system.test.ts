import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { createFakeAdmission } from '../../../support/fakes/admission.ts'
import { createHeldPool } from '../../../support/held-pool.ts'
import { errorOf } from '../../../support/infer-body.ts'
import { type Protocol, testClosing, testLoad } from '../../../support/protocol-load.ts'
import { startTestServer } from '../../../support/server.ts'
import { instances, serving } from '../../../support/serving-body.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
t.teardown(() => inner.close())
const held = createHeldPool(inner)
const admission = createFakeAdmission(systemClock.now)
admission.refuses = (deadlineMs) => deadlineMs === 7
const server = await startTestServer(t, { models, limits: { pool: held.pool, maxQueueRows: 4 }, admission })
const { fastify } = server
const ask = (headers = {}, body: unknown = { instances }) => serving(fastify, 'ads:predict', body, headers)

t.test('the deadline is that of the header', async (t) => {
  t.equal((await ask({ 'x-deadline-ms': '600000' })).status, 200)
  held.hold()
  const late = ask({ 'x-deadline-ms': '20' })
  t.match(errorOf(t, await late, 504), /deadline/)
  held.release()
  t.match(errorOf(t, await ask({ 'x-deadline-ms': 'soon' }), 400), /x-deadline-ms/)
})

const payload = JSON.stringify({ instances })
const protocol: Protocol = {
  server,
  held,
  ask,
  // As curl sends it.
  written: [
    `POST /v1/models/ads:predict HTTP/1.1\r\nhost: x\r\ncontent-length: ${payload.length}\r\n` +
      `content-type: application/x-www-form-urlencoded\r\n\r\n${payload}`,
  ],
}

testLoad(t, protocol)
testClosing(t, protocol)
