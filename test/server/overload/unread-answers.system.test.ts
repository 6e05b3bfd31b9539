import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createPendingBytes } from '../../../src/server/overload/pending-bytes.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)

async function start(t: Test, maxBytes: number) {
  const answers = createPendingBytes({ maxBytes })
  const { fastify } = await startTestServer(t, { models, answers })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const shed = async () => {
    const { body } = await fastify.inject('/metrics')
    return Number(/^multigate_shed_total\{model="",version="",reason="unread"\} (\d+)/m.exec(body)![1])
  }
  return { answers, fastify, port, shed }
}

/** A client that asks for the document so many times at once. */
async function ask(port: number, times: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write('GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(times))
  return socket
}

t.test('who asks for much and reads nothing is cut off when there is too much; who reads is not', async (t) => {
  const maxBytes = 20_000_000
  const { answers, fastify, port, shed } = await start(t, maxBytes)
  const { length } = (await fastify.inject('/docs/json')).rawPayload
  t.ok(length > 65_536, 'large enough to count')
  const unread = await Promise.all(Array.from({ length: 20 }, () => ask(port, 90)))
  let most = 0
  await until(async () => {
    most = Math.max(most, answers.bytes)
    return (await shed()) > 0
  })
  t.ok(most <= maxBytes, String(most))
  const reader = await ask(port, 50)
  let read = 0
  reader.on('data', (chunk) => {
    read += chunk.length
  })
  await until(() => read >= 50 * length)
  for (const socket of unread) socket.destroy()
  await until(() => answers.bytes === 0)
  reader.destroy()
})

t.test('one answer may be larger than all that may be unread, several may not', async (t) => {
  const { answers, port, shed } = await start(t, 1000)
  const socket = await ask(port, 1)
  let read = 0
  socket.on('data', (chunk) => {
    read += chunk.length
  })
  await until(() => read > 60_000)
  await until(() => answers.bytes === 0)
  t.equal(await shed(), 0)
  socket.write('GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2))
  await once(socket, 'close')
  t.equal(await shed(), 1)
  t.equal(answers.bytes, 0)
})
