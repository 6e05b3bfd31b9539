import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connectService } from '../../../src/tools/client/service-client.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { serveRequests } from '../../support/serve-requests.ts'

t.test('a user and a password are sent unless there is a key, and are in no message', async (t) => {
  const sent: (string | undefined)[] = []
  const host = await serveRequests(t, ({ headers, url }, response) => {
    sent.push(headers.authorization)
    response.statusCode = url === '/wrong' ? 404 : 200
    const named = `${'x'.repeat(80)} http://me:secret@${headers.host}`
    response.end(url === '/text' ? 'text' : url === '/named' ? named : '{}')
  })
  const url = `http://me:secret@${host}`
  const ask = await connectService({ url })
  await ask('GET', '/models')
  await t.rejects(ask('GET', '/wrong'), { message: `GET http://${host}/wrong answers 404: {}` })
  await t.rejects(ask('GET', '/text'), { message: `GET http://${host}/text does not answer JSON: text` })
  await t.rejects(ask('GET', '/named'), { message: /x http:\/\/…@127[\d.:]*$/ })
  const keyFile = join(await temporaryFolder(t), 'key')
  writeFileSync(keyFile, 'key\n')
  await (await connectService({ url, keyFile }))('GET', '/models')
  const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`
  t.same(sent, [basic, basic, basic, basic, 'Bearer key'])
  const gone = await connectService({ url: 'http://me:secret@127.0.0.1:1' })
  await t.rejects(gone('GET', '/models'), { message: /^http:\/\/127\.0\.0\.1:1\/models can't be reached: / })
})

t.test('an answer without an end is refused', async (t) => {
  const host = await serveRequests(t, (_, response) => {
    const send = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
    }
    response.on('drain', send)
    send()
  })
  const ask = await connectService({ url: `http://${host}` })
  await t.rejects(ask('GET', '/models'), { message: /can't be reached: its answer is larger than 67108864 bytes$/ })
})
