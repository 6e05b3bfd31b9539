import t from 'tap'
import { contentOf } from '../../../src/tools/stores/content.ts'
import { openGcs } from '../../../src/tools/stores/gcs.ts'

const signal = new AbortController().signal
const content = contentOf(Buffer.from('one'))

t.test('a server that is none of Google Cloud Storage is named, and gets nothing', async (t) => {
  const former = process.env.STORAGE_EMULATOR_HOST
  process.env.STORAGE_EMULATOR_HOST = 'host'
  t.teardown(() => {
    if (former === undefined) delete process.env.STORAGE_EMULATOR_HOST
    else process.env.STORAGE_EMULATOR_HOST = former
  })
  const asked: string[] = []
  let answer = () => new Response('{}')
  t.intercept(globalThis, 'fetch', {
    value: async (url: URL, { method = 'GET' }: RequestInit) => {
      asked.push(`${method} ${url}`)
      return answer()
    },
  })
  const store = await openGcs('bucket', 'log', true)
  for (const text of ['{}', 'null', '[', '{"size":1}']) {
    answer = () => new Response(text)
    await t.rejects(store.head('a', signal), {
      message: 'gs://bucket/log/a: its description has no size or generation',
    })
  }
  answer = () => new Response('x'.repeat(300_000))
  await t.rejects(store.head('a', signal), /gs:\/\/bucket\/log\/a is larger than/)
  for (const status of [403, 404]) {
    answer = () => new Response('no', { status })
    t.equal(await store.head('a', signal), undefined)
  }
  answer = () => new Response('{"size":"3","generation":"7"}')
  t.same(await store.head('a', signal), { bytes: 3, tag: '7', md5: undefined }, 'as of an object composed of others')

  asked.length = 0
  for (const location of ['', 'no address', 'http://other/upload', 'https://host/upload']) {
    answer = () => new Response('', { headers: { location } })
    await t.rejects(store.put('a', content, { ifAbsent: true }, signal), {
      message: 'gs://bucket/log/a: the server names no address to send the object to',
    })
  }
  t.equal(new Set(asked).size, 1)
  t.match(asked[0], /^POST http:\/\/host\/upload\/.*uploadType=resumable&name=log%2Fa&ifGenerationMatch=0$/)
  answer = () => new Response('', { status: 412 })
  t.equal(await store.put('a', content, { ifTag: '7' }, signal), 'conflict')
  t.match(asked.at(-1), /ifGenerationMatch=7$/)
  await t.rejects(store.put('a', content, undefined, signal), /^gs:\/\/bucket\/log\/a: HTTP 412/)
})
