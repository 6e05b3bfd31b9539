import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { problems } from '../../../src/server/errors/error-handler.ts'
import { strictHttp } from '../../../src/server/plugins/strict-http.ts'

/** The answer to a request as it goes over the wire. */
async function ask(port: number, ...lines: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  let text = ''
  for await (const part of socket) text += part
  return text
}

t.test('ambiguous requests are refused', async (t) => {
  const fastify = Fastify()
  t.teardown(() => fastify.close())
  await fastify.register(problems)
  await fastify.register(strictHttp)
  fastify.post('/', async () => 'ok')
  const { port } = new URL(await fastify.listen({ port: 0, host: '127.0.0.1' }))
  const post = (...headers: string[]) => ask(Number(port), 'POST / HTTP/1.1', 'connection: close', ...headers)
  t.match(await post('host: a', 'content-length: 0'), /^HTTP\/1.1 200 /)
  t.match(await post('host: a', 'content-type: text/plain', 'transfer-encoding: Chunked', '', '0'), /^HTTP\/1.1 200 /)
  t.match(await post('host: a', 'Host: b', 'content-length: 0'), /^HTTP\/1.1 400 [\s\S]*more than one Host header/)
  const many = Array.from({ length: 254 }, (_, i) => `a${i}: b`)
  t.match(await post('host: a', 'content-length: 0', ...many.slice(1)), /^HTTP\/1.1 200 /)
  t.match(await post('host: a', 'content-length: 0', ...many), /^HTTP\/1.1 400 [\s\S]*more than 256 headers/)
  const gzip = await post('host: a', 'transfer-encoding: gzip, chunked', '', '0')
  t.match(gzip, /^HTTP\/1.1 400 [\s\S]*The only supported Transfer-Encoding is chunked/)
})
