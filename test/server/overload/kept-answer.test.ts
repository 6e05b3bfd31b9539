import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { KeptAnswer } from '../../../src/server/overload/kept-answer.ts'
import { keepFiles } from '../../../src/server/overload/kept-files.ts'

const text = 'a text that compresses well. '.repeat(1000)

async function serve(t: Test, answer: KeptAnswer) {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', (request, reply) => answer.send(request, reply))
  return (headers: Record<string, string> = {}) => app.inject({ url: '/', headers })
}

t.test('a kept response is compressed for those that take it', async (t) => {
  const ask = await serve(t, new KeptAnswer(Buffer.from(text), 'text/plain', { 'cache-control': 'no-cache' }))
  for (const accepts of ['', 'identity', 'br', 'gzip;q=0', 'deflate, gzip;q=0.0']) {
    const plain = await ask({ 'accept-encoding': accepts })
    t.equal(plain.body, text, accepts)
    t.equal(plain.headers['content-encoding'], undefined)
    t.match(plain.headers, { 'cache-control': 'no-cache', 'content-type': 'text/plain', vary: 'accept-encoding' })
  }
  for (const accepts of ['gzip', 'deflate, GZIP;q=0.5, br']) {
    const { headers, rawPayload } = await ask({ 'accept-encoding': accepts })
    t.equal(headers['content-encoding'], 'gzip')
    t.equal(headers['content-length'], String(rawPayload.length))
    t.equal(gunzipSync(rawPayload).toString(), text)
  }
})

t.test('a client that has it already gets 304', async (t) => {
  const ask = await serve(t, new KeptAnswer(Buffer.from(text), 'text/plain'))
  const { etag } = (await ask()).headers
  const again = await ask({ 'if-none-match': String(etag) })
  t.equal(again.statusCode, 304)
  t.equal(again.body, '')
  for (const tag of [`W/${etag}`, `"other", ${etag}`, '*'])
    t.equal((await ask({ 'if-none-match': tag })).statusCode, 304, tag)
  const { etag: compressed, vary } = (await ask({ 'accept-encoding': 'gzip' })).headers
  t.not(compressed, etag)
  t.equal(vary, 'accept-encoding')
  t.equal((await ask({ 'if-none-match': '"other"' })).statusCode, 200)
})

t.test('files of a folder are sent from memory, with their compressed forms, and nothing else is', async (t) => {
  const folder = join(t.testdir({ 'a.js': text, 'a.js.br': 'brotli', 'b.png': 'png', 'c.secret': 'no' }))
  await mkdir(join(folder, 'd.js'))
  const files = await keepFiles(folder, { 'cache-control': 'immutable' })
  const app = Fastify()
  t.teardown(() => app.close())
  app.get<{ Params: { '*': string } }>(
    '/*',
    (request, reply) => files.send(request.params['*'], request, reply) ?? reply.callNotFound(),
  )
  const ask = (url: string, headers = {}) => app.inject({ url, headers })
  t.match(await ask('/a.js'), { body: text, headers: { 'content-type': 'text/javascript; charset=utf-8' } })
  t.match(await ask('/a.js', { 'accept-encoding': 'gzip, br' }), {
    body: 'brotli',
    headers: { 'content-encoding': 'br' },
  })
  t.match(await ask('/b.png'), { body: 'png', headers: { 'content-type': 'image/png', 'cache-control': 'immutable' } })
  await writeFile(join(folder, 'a.js'), 'changed')
  t.equal((await ask('/a.js')).body, text, 'it is not read again')
  for (const path of ['/a.js.br', '/c.secret', '/none.js', '/..%2fa.js', '/__proto__'])
    t.equal((await ask(path)).statusCode, 404, path)
  t.equal((await ask('/d.js')).statusCode, 500)
})
