import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
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

t.test('bodies are listed only if a setting says so, and fields as the manifest says', async (t) => {
  const marked = await temporaryFolder(t)
  await writeTestBundle(marked)
  const manifest = join(marked, 'ads/1/manifest.json')
  const content = JSON.parse(readFileSync(manifest, 'utf8'))
  for (const field of content.features) {
    if (field.name === 'country') field.log = 'drop'
    if (field.name === 'campaign') field.log = 'hash'
  }
  writeFileSync(manifest, JSON.stringify(content))
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: marked,
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_SLOW_REQUESTS: '5',
    MULTIGATE_SLOW_BODIES: 'true',
  })
  t.equal((await send(port, '/predict', { payload })).status, 200)
  await until(async () => JSON.parse((await send(port, '/debug/slow')).text).requests.length === 1)
  const [{ body }] = JSON.parse((await send(port, '/debug/slow')).text).requests
  t.match(body, { context: { hour: 21 }, candidates: [{ campaign: /^[0-9a-f]{16}$/, price: 1.25 }] })
  t.notOk('country' in body.context)
})

t.test('profiles are what Chrome reads; one at a time', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_ADMIN: 'true' })
  const post = (path: string) => send(port, path, { payload: '' })
  const both = await Promise.all(['/debug/profile?seconds=1', '/debug/heap-profile?seconds=1'].map(post))
  t.same(both.map(({ status }) => status).sort(), [200, 429])
  const cpu = JSON.parse((await post('/debug/profile?seconds=1')).text)
  t.match(cpu, { startTime: Number, endTime: Number })
  t.ok(cpu.nodes.length > 0)
  const heap = await post('/debug/heap-profile?seconds=1')
  t.match(JSON.parse(heap.text), { head: { callFrame: {}, children: [] } })
  t.equal((await post('/debug/profile?seconds=61')).status, 400)
  // Another can begin as soon as a client has left.
  let socket: Socket
  await until(async () => {
    socket = connect(port, '127.0.0.1')
    socket.write('POST /debug/profile?seconds=60 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
    await once(socket, 'connect')
    const { status } = await post('/debug/heap-profile?seconds=1')
    if (status !== 429) socket.destroy()
    return status === 429
  })
  socket!.destroy()
  await until(async () => (await post('/debug/heap-profile?seconds=1')).status === 200)
})

t.test('without administration they are forbidden', async (t) => {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
  t.equal((await send(port, '/debug/slow')).status, 403)
  t.equal((await send(port, '/debug/profile', { payload: '' })).status, 403)
})
