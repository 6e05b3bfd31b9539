import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { createLogDestination } from '../../src/app/logging.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { main } from '../support/entries.ts'
import { send } from '../support/process.ts'
import { until } from '../support/until.ts'

/** A destination whose file descriptor takes so many bytes at a time, or fails with a code. */
function record() {
  let text = ''
  const file = { takes: 1000 as number | string }
  const destination = createLogDestination((bytes) => {
    if (typeof file.takes === 'string') throw Object.assign(new Error(`${file.takes}: write`), { code: file.takes })
    const part = bytes.subarray(0, file.takes)
    text += part
    return part.length
  })
  const recovered: [number, string][] = []
  destination.onRecovered = (dropped, reason) => recovered.push([dropped, reason])
  return { destination, file, recovered, text: () => text }
}

t.test('lines are written whole, in their order', async (t) => {
  const { destination, file, recovered, text } = record()
  file.takes = 2
  destination.write('first\n')
  destination.write('second\n')
  t.equal(text(), 'first\nsecond\n')
  t.same(recovered, [])
})

t.test('lines that can not be written are dropped, counted and reported once', async (t) => {
  const { destination, file, recovered, text } = record()
  file.takes = 'ENOSPC'
  destination.write('lost\n')
  destination.write('lost too\n')
  t.same(recovered, [])
  file.takes = 1000
  destination.write('third\n')
  destination.write('fourth\n')
  t.equal(text(), 'third\nfourth\n')
  t.same(recovered, [[2, 'ENOSPC: write']])
})

t.test('a line that is written in part ends before the next one', async (t) => {
  let text = ''
  let room = 7
  const destination = createLogDestination((bytes) => {
    if (room === 0) throw new Error('full')
    const part = bytes.subarray(0, room)
    text += part
    room -= part.length
    return part.length
  })
  destination.write('torn in two\n')
  destination.write('lost whole\n')
  room = 1000
  destination.write('next\n')
  destination.write('last\n')
  t.equal(text, 'torn in\nnext\nlast\n')
})

t.test('a slow reader gets its lines later, up to a bound', async (t) => {
  const { destination, file, recovered, text } = record()
  file.takes = 'EAGAIN'
  const line = `${'x'.repeat(2 ** 18 - 1)}\n`
  for (let i = 0; i < 6; i++) destination.write(line)
  t.same(recovered, [])
  file.takes = 1000
  destination.write('last\n')
  t.equal(text(), `${line.repeat(4)}last\n`)
  t.same(recovered, [[2, 'the reader of the log is too slow']])
})

t.test('a server on a full disk becomes ready, answers and stops', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      MULTIGATE_MODELS: models,
      MULTIGATE_PORT: String(port),
      MULTIGATE_WORKERS: '1',
      MULTIGATE_LOG_REQUESTS: 'true',
      MULTIGATE_WARM_UP_MS: '0',
      MULTIGATE_DRAIN_DELAY_MS: '0',
    },
    stdio: ['ignore', full, 'pipe'],
  })
  closeSync(full)
  const ended = once(child, 'close')
  t.teardown(() => child.kill('SIGKILL'))
  await until(async () => child.exitCode !== null || (await send(port, '/readyz')).status === 200)
  t.equal((await send(port, '/livez')).status, 200)
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})
