import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import { readRecords } from '../../../src/prediction-log/log-records.ts'
import { openLog } from '../../../src/tools/data/open-log.ts'

/* A log in a bucket, as a server of Google Cloud Storage tells of it. */

const nameOf = (i: number, kind = 'jsonl') => `20260102T03040${i}000Z-a-1.${kind}`
const facts = {
  ...{ schema: 1, instance: 'a', protocol: 'predict', outcome: 'ok', sampled_by: 'rate', sample_rate: 1 },
  ms: { total: 1 },
}
const record = (i: number) => JSON.stringify({ ...facts, time: `2026-01-02T03:04:0${i}.000Z`, request_id: `r${i}` })

/** Answers by the path of a request, and its query; `asked`: what was asked for. */
function answerBy(t: Test, answer: (path: string, query: URLSearchParams) => Response): string[] {
  const asked: string[] = []
  const former = process.env.STORAGE_EMULATOR_HOST
  process.env.STORAGE_EMULATOR_HOST = 'host'
  t.teardown(() => {
    if (former === undefined) delete process.env.STORAGE_EMULATOR_HOST
    else process.env.STORAGE_EMULATOR_HOST = former
  })
  t.intercept(globalThis, 'fetch', {
    value: async (url: URL) => {
      const path = decodeURIComponent(url.pathname.replace('/storage/v1/b/bucket/o', ''))
      asked.push(path)
      return answer(path, url.searchParams)
    },
  })
  return asked
}

const list = (names: string[], nextPageToken?: string) =>
  Response.json({ items: names.map((name) => ({ name, size: '10' })), nextPageToken })

const brokenOff = (text: string) =>
  new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from(text)),
      pull: (controller) => controller.error(new Error('the connection broke')),
    }),
  )

async function idsOf(file: Parameters<typeof readRecords>[0]): Promise<string[]> {
  const ids: string[] = []
  for await (const line of readRecords(file)) ids.push(line.record.request_id)
  return ids
}

t.test('all parts of a list are files and manifests, in order', async (t) => {
  answerBy(t, (_, query) => {
    t.equal(query.get('prefix'), 'log/')
    const ads = (name: string) => `log/ads/1/${name}`
    return query.get('pageToken') === null
      ? list([ads(nameOf(3)), ads('manifest-00ff.json'), ads('notes.txt'), `log/${nameOf(1)}`], 'more')
      : list([ads(nameOf(2)), ads(nameOf(3, 'parquet')), ads(`${nameOf(4)}.open`)])
  })
  const { name, files, manifests } = await openLog('gs://bucket/log')
  t.equal(name, 'gs://bucket/log')
  t.same(
    files.map(({ path, bytes }) => [path, bytes]),
    [
      [`gs://bucket/log/${nameOf(1)}`, 10],
      [`gs://bucket/log/ads/1/${nameOf(2)}`, 10],
      [`gs://bucket/log/ads/1/${nameOf(3)}`, 10],
    ],
    'a file that is there as Parquet, too, counts once',
  )
  t.same(
    manifests.map(({ path }) => path),
    ['gs://bucket/log/ads/1/manifest-00ff.json'],
  )
  await t.rejects(openLog('https://host/log'), { message: 'https://host/log: a log is in a folder, s3:// or gs://' })
})

t.test('a file is asked for again where the connection breaks, and leaves nothing on the disk', async (t) => {
  let tries = 0
  answerBy(t, (path) => {
    if (path === '') return list([`log/ads/1/${nameOf(1)}`])
    return ++tries < 3 ? brokenOff(record(0)) : new Response(`${record(1)}\n${record(2)}\n`)
  })
  const { files } = await openLog('gs://bucket/log')
  t.same(await idsOf(files[0]!), ['r1', 'r2'])
  tries = -1
  await t.rejects(idsOf(files[0]!), /gs:\/\/bucket\/log\/ads\/1\/2026.*the connection broke/)
  const left = readdirSync(tmpdir()).filter(
    (name) => name.startsWith(`multigate-log-`) && name.includes(`${process.pid}`),
  )
  t.same(left, [])
})

t.test('a file that has been removed meanwhile has no records; one that may not be read is an error', async (t) => {
  let status = 404
  const asked = answerBy(t, (path) => (path === '' ? list([`log/ads/1/${nameOf(1)}`]) : new Response('no', { status })))
  const { files } = await openLog('gs://bucket/log')
  t.same(await idsOf(files[0]!), [])
  status = 403
  await t.rejects(idsOf(files[0]!), /gs:\/\/bucket\/log\/ads\/1\/2026.*HTTP 403|storage.*HTTP 403/)
  t.equal(asked.length, 3, 'asking again would not help')
  const stopped = new AbortController()
  stopped.abort(new Error('stopped'))
  await t.rejects(files[0]!.bring!(stopped.signal), { message: 'stopped' })
})

t.test('an answer that is no list is named', async (t) => {
  let text = '{"items":{}}'
  answerBy(t, () => new Response(text))
  await t.rejects(openLog('gs://bucket/log'), { message: 'gs://bucket/log: its answer is no list of objects' })
  text = '{"items":[{"size":"1"}]}'
  await t.rejects(openLog('gs://bucket/log'), { message: 'gs://bucket/log: its list has an object without a name' })
  text = '{}'
  t.same((await openLog('gs://bucket/log')).files, [])
})
