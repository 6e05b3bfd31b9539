import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { fetchChecked, getOverHttp } from '../../../src/tools/stores/fetch-checked.ts'
import { openHttp } from '../../../src/tools/sync/sources/http.ts'

const signal = new AbortController().signal

/** Answers requests by their address, and notes them with their authorization. */
function serve(t: Test, answers: Record<string, () => Response>): string[] {
  const asked: string[] = []
  t.intercept(globalThis, 'fetch', {
    value: async (url: URL, { headers }: { headers: Headers }) => {
      asked.push(`${url} ${headers.get('authorization')}`)
      return answers[url.href]!()
    },
  })
  return asked
}

const redirect = (location: string, status = 302) => new Response('moved', { status, headers: { location } })
const get = (address: string, headers: Record<string, string> = {}) => getOverHttp(new URL(address), headers, signal)

t.test('the status of an answer without the object is named, whichever it is', async (t) => {
  const statuses = [201, 204, 206, 304, 400, 401, 404, 500]
  for (const status of statuses) {
    serve(t, { 'https://x/a?key=secret': () => new Response(null, { status, statusText: 'What' }) })
    await t.rejects(get('https://x/a?key=secret'), { message: `https://x/a: HTTP ${status} What` })
  }
  const statusText = `See https://me:secret@y/b ${'x'.repeat(1000)}`
  serve(t, { 'https://x/a': () => new Response(null, { status: 404, statusText }) })
  await t.rejects(get('https://x/a'), { message: /^https:\/\/x\/a: HTTP 404 See https:\/\/…@y\/b x{400,480}$/ })
  serve(t, { 'https://x/a': () => new Response(null, { status: 302 }) })
  await t.rejects(get('https://x/a'), { message: 'https://x/a: HTTP 302' })
  serve(t, { 'https://x/a': () => new Response(null, { status: 304 }) })
  t.equal(await get('https://x/a', { 'if-none-match': '"1"' }), undefined, 'a 304 that was asked for is none of them')
})

t.test('redirects are followed; credentials go to the first server alone', async (t) => {
  const asked = serve(t, {
    'https://x/a': () => redirect('/b', 301),
    'https://x/b': () => redirect('https://me:own@y/c', 307),
    'https://y/c': () => redirect('https://x/d'),
    'https://x/d': () => new Response('here'),
  })
  const found = await get('https://x/a', { authorization: 'Bearer ours' })
  t.equal((await buffer(found!.body)).toString(), 'here')
  t.same(asked, ['https://x/a Bearer ours', 'https://x/b Bearer ours', 'https://y/c null', 'https://x/d null'])
})

t.test('not for ever, not to plain text, and not to anything else', async (t) => {
  const cases: [string, string, string][] = [
    ['https://x/a', 'https://x/a', 'https://x/a redirects more than 5 times'],
    ['https://x/a', 'http://x/b?c=d', 'https://x/a redirects to http://x/b; only https:// is followed from there'],
    ['http://x/a', 'data:,b', 'http://x/a redirects to data://,b; only http:// or https:// is followed from there'],
    ['https://x/a', 'https://[', 'https://x/a redirects to no URL'],
  ]
  for (const [address, location, message] of cases) {
    serve(t, { [address]: () => redirect(location) })
    await t.rejects(get(address), { message })
  }
})

t.test('a status that is expected is of the server itself, not of one that it redirects to', async (t) => {
  serve(t, { 'https://x/a': () => new Response(null, { status: 401 }) })
  t.equal((await fetchChecked(new URL('https://x/a'), {}, signal, [401])).status, 401)
  serve(t, { 'https://x/a': () => redirect('https://y/b'), 'https://y/b': () => new Response(null, { status: 401 }) })
  await t.rejects(fetchChecked(new URL('https://x/a'), {}, signal, [401]), { message: 'https://x/a: HTTP 401' })
})

t.test('credentials are sent, and in no message', async (t) => {
  const asked = serve(t, { 'https://x/a/index.json': () => new Response('{}') })
  for (const [address, token] of [
    ['https://me:se%2Fcret@x/a', undefined],
    ['https://:100%@x/a', 'unused'],
    ['https://x/a', 'token'],
    ['https://x/a', undefined],
  ] as const)
    await openHttp(new URL(address), token).index.open(undefined, signal)
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  t.same(
    asked,
    [basic('me:se/cret'), basic(':100%'), 'Bearer token', null].map((sent) => `https://x/a/index.json ${sent}`),
  )
  await t.rejects(openHttp(new URL('https://x'), 'to\nken').index.open(undefined, signal), {
    message: 'https://x/index.json: the token or password has characters that no header can have',
  })
  t.intercept(globalThis, 'fetch', {
    value: () =>
      Promise.reject(new TypeError('fetch failed', { cause: new Error('no way to http://me:secret@proxy') })),
  })
  await t.rejects(get('https://x/a'), { message: 'https://x/a: no way to http://…@proxy' })
})
