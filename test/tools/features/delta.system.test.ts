import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openChanged } from '../../../src/model/serving/tables/open-changed.ts'
import { writeTableDelta } from '../../../src/tools/features/write-delta.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'

const folder = await temporaryFolder(t)
const models = join(folder, 'models')
const version = join(models, '.tables/ads/1')

const file = async (name: string, ...lines: string[]) => {
  await writeFile(join(folder, name), lines.join('\n'))
  return join(folder, name)
}
const features = (...args: string[]) => runCli(['features', ...args, '--models', models])
const rows = async (...keys: string[]) =>
  (await features('get', 'ads', ...keys)).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

const csv = await file('ads.csv', 'ad_id,campaign,price,tags,later', 'a1,c1,1.5,x|y,', 'a2,c2,2,y,', 'a3,,3,,')
await features('import', csv, '--key', 'ad_id', '--list', 'tags=|')

t.test('rows are replaced, added and removed', async (t) => {
  const prices = await file('prices.csv', 'ad_id,price', 'a1,9.25', 'a4,4')
  const gone = await file('gone.csv', 'ad_id,why', 'a2,ended', 'zz,ended')
  t.match(await features('delta', 'ads', prices, '--remove', gone), {
    code: 0,
    stdout: /ads\/1\/deltas\/delta-1\.bin: 2 rows changed: price; 2 removed\n/,
  })
  const lines = await file(
    'tags.jsonl',
    '{"ad_id":"a3","tags":["new","x"],"later":7}',
    '{"ad_id":"a1","tags":null,"later":null}',
  )
  const written = await features('delta', version, lines, '--json')
  t.match(JSON.parse(written.stdout), { sequence: 2, rows: 2, removed: 0, columns: ['tags', 'later'] })
  t.match(await features('get', 'ads', 'a2'), { code: 1, stderr: /no row of "a2"/ })
  t.same(await rows('a1', 'a3', 'a4'), [
    { ad_id: 'a1', campaign: 'c1', price: 9.25, tags: null, later: null },
    { ad_id: 'a3', campaign: null, price: 3, tags: ['new', 'x'], later: 7 },
    { ad_id: 'a4', campaign: null, price: 4, tags: null, later: null },
  ])
  t.match(await features('stats', 'ads'), { stdout: /^2 deltas, the last of 20.*: 5 rows changed, /m })
  t.match(JSON.parse((await features('stats', 'ads', '--json')).stdout), { deltas: { applied: 2, rows: 5 } })
})

t.test('what does not fit is named with its place, and no delta is written', async (t) => {
  const before = await readdir(join(version, 'deltas'))
  const cases: [lines: string[], args: string[], message: RegExp][] = [
    [['ad_id,price', 'a1,x'], [], /x\.csv line 2: price must be a number, not "x"/],
    [['ad_id,prise', 'a1,1'], [], /has no column "prise"; did you mean "price"\?/],
    [['ad,price', 'a1,1'], [], /has no column "ad_id"/],
    [['ad_id', 'a1'], [], /has no column but "ad_id"/],
    [['ad_id,tags', 'a1,x'], [], /column tags has lists: --list "tags=\|"/],
    [['ad_id,price', 'a1,1'], ['--list', 'price=|'], /column price has no lists/],
    [['ad_id,price', 'a1,1', 'a1,2'], [], /line 3: ad_id "a1" is there already/],
    [['ad_id,price', 'a1,1'], ['--columns', 'price,tags'], /has no column "tags"/],
  ]
  for (const [lines, args, message] of cases)
    t.match(await features('delta', 'ads', await file('x.csv', ...lines), ...args), { code: 1, stderr: message })
  const unequal = await file('x.jsonl', '{"ad_id":"a1","price":1}', '{"ad_id":"a2"}')
  t.match(await features('delta', 'ads', unequal), {
    code: 1,
    stderr: /x\.jsonl line 2 lacks price, which line 1 has: write null/,
  })
  const both = await file('x.csv', 'ad_id,price', 'a1,1')
  t.match(await features('delta', 'ads', both, '--remove', both), { code: 1, stderr: /"a1" is also among the changed/ })
  t.match(await features('delta', 'ads'), { code: 1, stderr: /name a file of changed rows, or --remove/ })
  t.match(await features('delta', 'nothing', both), { code: 1, stderr: /has no table "nothing"; it has ads/ })
  t.same(await readdir(join(version, 'deltas')), before)
})

t.test('of processes that write at the same time, each writes a delta of its own', async (t) => {
  const deltas = join(version, 'deltas')
  // One that was killed while it wrote.
  await mkdir(deltas, { recursive: true })
  await writeFile(join(deltas, '.building-00000000'), 'MGDE')
  const before = (await openChanged(version)).deltas.applied
  const files = await Promise.all([0, 1, 2].map((i) => file(`p${i}.csv`, 'ad_id,price', `p${i},${i}`)))
  const written = await Promise.all(
    files.map((file) =>
      writeTableDelta({
        ...{ folder: version, file, remove: undefined, columns: undefined, lists: new Map(), doubled: 'refuse' },
        ...{ signal: new AbortController().signal, onProgress: () => undefined },
      }),
    ),
  )
  t.same(written.map(({ sequence }) => sequence).sort(), [before + 1, before + 2, before + 3])
  t.same(
    (await rows('p0', 'p1', 'p2')).map(({ price }) => price),
    [0, 1, 2],
  )
  const { deltas: after, close } = await openChanged(version)
  close()
  t.match(after, { applied: before + 3, refused: undefined })
  t.equal(await readFile(join(deltas, '.building-00000000'), 'utf8'), 'MGDE', 'it is no delta, and is left alone')
})
