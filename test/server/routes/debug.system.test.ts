import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { send, startProcess } from '../../support/process.ts'
import { askAnew } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

t.test('the slowest requests of all processes are listed with their stages, and no values', async (t) => {
  for (const processes of ['1', '2']) {
    const { port, stdout } = await startProcess(
      t,
      {
        MULTIGATE_MODELS: models,
        MULTIGATE_ADMIN: 'true',
        MULTIGATE_SLOW_REQUESTS: '5',
        MULTIGATE_PROCESSES: processes,
      },
      processes === '1' ? 'ready' : 'all processes are ready',
    )
    for (let i = 0; i < 12; i++) await send(port, '/predict', { payload })
    await send(port, '/predict', { payload: '{' })
    await until(async () => JSON.parse((await askAnew(port, '/debug/slow')).text).requests.length === 5)
    const { text } = await askAnew(port, '/debug/slow')
    const { requests } = JSON.parse(text)
    t.match(requests[0], {
      method: 'POST',
      url: '/predict',
      request_id: /./,
      ended: /^\d{4}-\d\d-\d\dT/,
      total_ms: Number,
    })
    const totals = requests.map(({ total_ms }: { total_ms: number }) => total_ms)
    t.same(
      totals,
      [...totals].sort((a, b) => b - a),
    )
    const { read_ms, queue_ms, compute_ms, write_ms, total_ms } = requests.find(({ status }: any) => status === 200)
    t.ok(Math.abs(read_ms + queue_ms + compute_ms + write_ms - total_ms) < 0.01)
    t.notMatch(text, /campaign|country|price/)
    t.notMatch(stdout(), /"msg":"request"/, 'they are not logged')
  }
})

t.test('profiles are what Chrome reads; one at a time', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_ADMIN: 'true' })
  const post = (path: string) => send(port, path, { payload: '' })
  const first = post('/debug/profile?seconds=1')
  await until(async () => (await post('/debug/heap-profile?seconds=1')).status === 429)
  const cpu = JSON.parse((await first).text)
  t.match(cpu, { startTime: Number, endTime: Number })
  t.ok(cpu.nodes.length > 0)
  const heap = await post('/debug/heap-profile?seconds=1')
  t.match(JSON.parse(heap.text), { head: { callFrame: {}, children: [] } })
  t.equal((await post('/debug/profile?seconds=61')).status, 400)
})

t.test('without administration they are forbidden', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
  t.equal((await send(port, '/debug/slow')).status, 403)
  t.equal((await send(port, '/debug/profile', { payload: '' })).status, 403)
})
