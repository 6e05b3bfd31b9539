import t, { type Test } from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { send, startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c', price: 1 }] })

async function log(t: Test, variables: Record<string, string>) {
  const { port, lines, stdout } = await startProcess(t, { MULTIGATE_MODELS: models, ...variables }, 'ready')
  await send(port, '/readyz')
  await send(port, '/predict', { payload })
  await until(() => stdout().includes('"request"'))
  return lines()
}

t.test('a process logs the requests that it answers, in one line each', async (t) => {
  const lines = await log(t, { MULTIGATE_LOG_REQUESTS: 'true' })
  const requests = lines.filter(({ request_id }) => request_id !== undefined)
  t.match(requests, [{ level: 30, msg: 'request', status: 200, model: 'ads', rows: 1, time: Number, request_id: /./ }])
  t.equal(requests.length, 1)
})

t.test('lines have an ISO time and level names where that is set', async (t) => {
  const lines = await log(t, { MULTIGATE_LOG_REQUESTS: 'true', MULTIGATE_LOG_FORMAT: 'iso' })
  for (const { level, time } of lines) {
    t.equal(level, 'info')
    t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  }
})
