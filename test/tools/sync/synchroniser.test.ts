import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openFolder as openStore } from '../../../src/tools/stores/folder.ts'
import type { GetObject } from '../../../src/tools/stores/object-store.ts'
import { indexFile, largestIndex, parseIndex, writeIndex } from '../../../src/tools/sync/index-file.ts'
import { readIndex } from '../../../src/tools/sync/read-index.ts'
import { createIndexedSource, type SyncSource } from '../../../src/tools/sync/source.ts'
import { parseOciManifest } from '../../../src/tools/sync/sources/oci.ts'
import { Synchroniser, type SyncOptions } from '../../../src/tools/sync/synchroniser.ts'
import { parseTables, tablesIndexFile, writeTablesIndex } from '../../../src/tools/sync/tables-index.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const signal = new AbortController().signal

function write(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

function openFolder(folder: string): SyncSource {
  const { name, get } = openStore(folder)
  return createIndexedSource(name, get)
}

/** A source with two versions of a model, and a folder to copy it to. */
async function setUp(t: Test) {
  const from = await temporaryFolder(t)
  const to = join(await temporaryFolder(t), 'models')
  write(from, { 'ads/1/manifest.json': '{"v":1}', 'ads/1/graph/model.onnx': 'one', 'ads/2/manifest.json': '{"v":2}' })
  await writeIndex(from)
  return { from, to }
}

function open(to: string, from: string, more: Partial<SyncOptions> = {}): Promise<Synchroniser> {
  return Synchroniser.open({
    source: openFolder(from),
    folder: to,
    keep: 0,
    now: () => 0,
    onBytes: () => undefined,
    delay: () => 0,
    ...more,
  })
}

/** Visible files, with their text. */
function contents(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const paths = files.map((file) => file.slice(folder.length + 1)).filter((path) => !path.startsWith('.sync/'))
  return Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

const first = { 'ads/1/graph/model.onnx': 'one', 'ads/1/manifest.json': '{"v":1}', 'ads/2/manifest.json': '{"v":2}' }
const unfinished = (to: string) =>
  readdirSync(join(to, '.sync/unfinished'), { recursive: true }).filter((name) => String(name).includes('/'))

t.test('copies every version once, the highest first', async (t) => {
  const { from, to } = await setUp(t)
  let bytes = 0
  const begun: string[] = []
  const onCopy: SyncOptions['onCopy'] = ({ model, version }, size) => begun.push(`${model}/${version} ${size}`)
  const sync = await open(to, from, { onBytes: (more) => (bytes += more), onCopy })
  const pass = await sync.run(signal)
  t.same(pass, {
    copied: [
      { model: 'ads', version: '2' },
      { model: 'ads', version: '1' },
    ],
    removed: [],
    listed: 2,
    present: 2,
    problems: [],
  })
  t.same(contents(to), first)
  t.equal(bytes, 17)
  t.same(begun, ['ads/2 7', 'ads/1 10'])
  const again = await sync.run(signal)
  t.same([again.copied, again.present], [[], 2])
  const restarted = await (await open(to, from)).run(signal)
  t.same([restarted.copied, restarted.present], [[], 2], 'after a restart, too')
  t.same(unfinished(to), [])
})

/** The source with another answer for some objects. */
function lying(from: string, lies: Record<string, () => Readable>) {
  const honest = openFolder(from)
  const get: GetObject = async (path, tag, signal) => {
    if (lies[path] !== undefined) return { body: lies[path]() }
    if (path !== indexFile) return honest.open(path, { bytes: 0, sha256: '' }, signal)
    return { body: Readable.from([readFileSync(join(from, indexFile))]), tag: tag ?? 'first' }
  }
  return createIndexedSource('lies://bucket', get)
}

t.test('a version with a wrong file does not appear, and the others do', async (t) => {
  const endless = () =>
    new Readable({
      read() {
        this.push(Buffer.alloc(65_536))
      },
    }) // prettier-ignore
  const cases: [string, () => Readable, RegExp][] = [
    [
      'damaged',
      () => Readable.from([Buffer.from('{"v":3}')]),
      /^lies:\/\/bucket\/ads\/2\/manifest\.json is damaged: its SHA-256 is \w{64}, its index says \w{64}$/,
    ],
    ['truncated', () => Readable.from([Buffer.from('{"v')]), /ads\/2\/manifest\.json ends after 3 of 7 bytes$/],
    ['empty', () => Readable.from([]), /ends after 0 of 7 bytes$/],
    ['endless', endless, /ads\/2\/manifest\.json is longer than the 7 bytes of its index$/],
    [
      'broken off',
      () =>
        new Readable({
          read() {
            this.destroy(new Error('connection reset'))
          },
        }),
      /connection reset/,
    ],
    [
      'silent',
      () => new Readable({ read: () => undefined }),
      /ads\/2\/manifest\.json is silent for 0 s, or slower than 64 KiB\/s$/,
    ],
  ]
  for (const [name, lie, problem] of cases) {
    const { from, to } = await setUp(t)
    let asked = 0
    const lies = {
      'ads/2/manifest.json': () => {
        asked++
        return lie()
      },
    }
    const sync = await open(to, from, { source: lying(from, lies), silence: 50 })
    const pass = await sync.run(signal)
    t.equal(pass.problems.length, 1, name)
    t.match(pass.problems[0], problem, name)
    t.equal(asked, 3, `${name}: tried again`)
    t.same(Object.keys(contents(to)), ['ads/1/graph/model.onnx', 'ads/1/manifest.json'], name)
    t.same(unfinished(to), [], name)
    lies['ads/2/manifest.json'] = undefined as never
    t.same((await sync.run(signal)).problems, [], `${name}: the next pass copies it`)
    t.same(contents(to), first, name)
  }
})

t.test('a wrong index changes nothing', async (t) => {
  const { from, to } = await setUp(t)
  const sync = await open(to, from)
  await sync.run(signal)
  const file = { bytes: 1, sha256: '0'.repeat(64) }
  const version = (files: object) => ({ format: 1, models: { ads: { versions: { 1: files } } } })
  const wrong: [unknown, RegExp][] = [
    ['', /index\.json is not JSON/],
    [{ format: 1, models: {} }, /index\.json lists no model$/],
    [{ format: 2, models: {} }, /index\.json \/format must be /],
    [{ models: {} }, /index\.json \/format is required/],
    [{ format: 1, models: { '../ads': { versions: {} } } }, /"\.\.\/ads" is not the name of a model/],
    [{ format: 1, models: { '.sync': { versions: {} } } }, /"\.sync" is not the name of a model/],
    [{ format: 1, models: { ads: { versions: { latest: { a: file } } } } }, /"latest" of ads is not a version/],
    [{ format: 1, models: { ads: { versions: { 1: {} } } } }, /ads\/1 lists no file/],
    [version({ 'deltas/delta-1.bin': file }), /ads\/1 lists no file/],
    [version({ '../2/a': file }), /"\.\.\/2\/a" of ads\/1 is not a path inside its folder/],
    [version({ '/etc/passwd': file }), /is not a path inside/],
    [version({ 'a//b': file }), /is not a path inside/],
    [version({ 'a\\..\\b': file }), /is not a path inside/],
    [version({ a: { ...file, bytes: -1 } }), /index\.json \/models\/ads\/versions\/1\/a\/bytes must be/],
    [version({ a: { ...file, sha256: 'x' } }), /\/models\/ads\/versions\/1\/a\/sha256 must/],
    [
      { format: 1, models: { ads: { versions: {}, files: { 'a.json': file } } } },
      /"a\.json" of ads is neither labels\.json nor a schedule, such as 7\.json/,
    ],
  ]
  for (const [index, problem] of wrong) {
    writeFileSync(join(from, indexFile), typeof index === 'string' ? index : JSON.stringify(index))
    await t.rejects(sync.run(signal), { message: problem })
    t.same(contents(to), first)
  }
  rmSync(join(from, indexFile))
  await t.rejects(sync.run(signal), { message: /index\.json is missing$/ })
  t.same(contents(to), first)
})

t.test('names are only names', async (t) => {
  const digest = createHash('sha256').update('x').digest('hex')
  const index = parseIndex(
    `{"format":1,"models":{"__proto__":{"versions":{"1":{"__proto__":{"bytes":1,"sha256":"${digest}"}}}}}}`,
  )
  t.same(Object.keys(index.models), ['__proto__'])
  const from = await temporaryFolder(t)
  const to = await temporaryFolder(t)
  write(from, { 'constructor/1/constructor': 'x' })
  t.same(await writeIndex(from), { models: 1, versions: 1, bytes: 1 })
  t.same((await (await open(to, from)).run(signal)).problems, [])
  t.same(contents(to), { 'constructor/1/constructor': 'x' })
  write(from, { '__proto__/1/constructor': 'x' })
  await t.rejects(writeIndex(from), { message: /^"__proto__" can't be the name of a model: / })
})

t.test('a version that changes at the source is refused; a damaged copy is replaced', async (t) => {
  const { from, to } = await setUp(t)
  await (await open(to, from)).run(signal)
  writeFileSync(join(to, 'ads/1/graph/model.onnx'), 'damage')
  const sync = await open(to, from)
  t.same((await sync.run(signal)).copied, [{ model: 'ads', version: '1' }])
  t.same(contents(to), first)
  rmSync(join(to, 'ads/2'), { recursive: true })
  t.same((await sync.run(signal)).copied, [{ model: 'ads', version: '2' }], 'a removed one is copied again')

  write(from, { 'ads/2/manifest.json': '{"v":"2b"}' })
  await writeIndex(from)
  const { problems, present } = await sync.run(signal)
  t.same([problems, present], [['ads/2 has changed at the source; a version never changes: publish a new one'], 1])
  t.same(contents(to), first)
})

t.test('what sync did not put there stays', async (t) => {
  const { from, to } = await setUp(t)
  write(to, {
    'ads/2/manifest.json': '{"mine":true}',
    'ads/9/manifest.json': '{}',
    'own/1/a': 'a',
    'ads/1/manifest.json': '{"v":1}',
    'ads/1/graph/model.onnx': 'one',
  })
  const sync = await open(to, from)
  const pass = await sync.run(signal)
  t.match(pass.problems, [/models\/ads\/2 differs from the source, and sync did not put it there$/])
  t.same([pass.copied, pass.removed, pass.present], [[], [], 1], 'an equal version is taken over')
  t.equal(contents(to)['own/1/a'], 'a')
  t.equal(contents(to)['ads/2/manifest.json'], '{"mine":true}')
})

t.test('a version that the source dropped goes after a while, and only once there is another', async (t) => {
  const { from, to } = await setUp(t)
  let time = 0
  const lies: Record<string, () => Readable> = {}
  const sync = await open(to, from, { source: lying(from, lies), keep: 1000, now: () => time })
  await sync.run(signal)
  rmSync(join(from, 'ads'), { recursive: true })
  write(from, { 'ads/3/manifest.json': '{"v":3}', 'ads/labels.json': '{"$pin":"3"}', 'other/1/a': 'a' })
  await writeIndex(from)
  lies['ads/3/manifest.json'] = () => Readable.from([Buffer.from('damage!')])
  const at = async (ms: number) => {
    time = ms
    const { removed, problems } = await sync.run(signal)
    return { removed: removed.map(({ model, version }) => `${model}/${version}`).sort(), problems: problems.length }
  }
  t.same(await at(1), { removed: [], problems: 1 })
  t.same(await at(5000), { removed: [], problems: 1 }, 'its successor is damaged')
  delete lies['ads/3/manifest.json']
  t.same(await at(5001), { removed: ['ads/1', 'ads/2'], problems: 0 })
  t.same(contents(to), { 'ads/3/manifest.json': '{"v":3}', 'ads/labels.json': '{"$pin":"3"}', 'other/1/a': 'a' })
  rmSync(join(from, 'other'), { recursive: true })
  await writeIndex(from)
  t.same(await at(6000), { removed: [], problems: 0 })
  t.same(await at(6999), { removed: [], problems: 0 })
  t.same(await at(7000), { removed: ['other/1'], problems: 0 }, 'a model that was dropped goes, too')
})

t.test('a schedule arrives before its version, which does not come without it; labels come last', async (t) => {
  const { from, to } = await setUp(t)
  write(from, {
    'ads/3/manifest.json': '{"v":3}',
    'ads/3.json': '{"activate_at":"x"}',
    'ads/labels.json': '{"live":"3"}',
  })
  await writeIndex(from)
  const asked: string[] = []
  const note = (path: string, text: string) => () => {
    asked.push(path)
    return Readable.from([Buffer.from(text)])
  }
  const lies: Record<string, () => Readable> = {
    'ads/3.json': note('schedule', 'wrong'),
    'ads/3/manifest.json': note('version', '{"v":3}'),
    'ads/labels.json': note('labels', '{"live":"3"}'),
  }
  const sync = await open(to, from, { source: lying(from, lies) })
  t.match((await sync.run(signal)).problems, [/ads\/3\.json ends after 5 of 19 bytes$/])
  t.notOk(existsSync(join(to, 'ads/3')))
  lies['ads/3.json'] = note('schedule', '{"activate_at":"x"}')
  asked.length = 0
  t.same((await sync.run(signal)).problems, [])
  t.same(asked, ['schedule', 'version'], 'the labels are there from the first pass')
  const after = contents(to)
  t.same([after['ads/3.json'], after['ads/labels.json']], ['{"activate_at":"x"}', '{"live":"3"}'])
  write(to, { 'ads/1.json': '{"mine":1}' })
  rmSync(join(from, 'ads/3.json'))
  rmSync(join(from, 'ads/labels.json'))
  await writeIndex(from)
  await sync.run(signal)
  t.same(
    Object.keys(contents(to)).filter((path) => /^ads\/[^/]+$/.test(path)),
    ['ads/1.json'],
  )
})

t.test('a model larger than the disk is refused before it is copied', async (t) => {
  const { from, to } = await setUp(t)
  const index = JSON.parse(readFileSync(join(from, indexFile), 'utf8'))
  index.models.ads.versions[2]['manifest.json'].bytes = 2 ** 52
  writeFileSync(join(from, indexFile), JSON.stringify(index))
  const { problems, present } = await (await open(to, from)).run(signal)
  t.match(problems, [/^ads\/2 has 4503599627370496 bytes, and the disk of .* has \d+ left$/])
  t.equal(present, 1)
})

t.test('copies take no more than they may', async (t) => {
  const { from, to } = await setUp(t)
  const sync = await open(to, from, { mostBytes: 16 })
  const { problems } = await sync.run(signal)
  t.same(problems, ['ads/1 has 10 bytes, and the copies take 7 of at most 16'])
  t.same(Object.keys(contents(to)), ['ads/2/manifest.json'])
  t.same((await (await open(to, from, { mostBytes: 17 })).run(signal)).problems, [])
})

t.test('files beside versions count, too, and need room on the disk', async (t) => {
  const { from, to } = await setUp(t)
  write(from, { 'ads/labels.json': '{"live":"2"}', 'ads/1.json': '{"activate_at":1}' })
  await writeIndex(from)
  const run = async (mostBytes: number) => (await (await open(to, from, { mostBytes })).run(signal)).problems
  t.same(await run(7 + 16), ['ads/1.json has 17 bytes, and the copies take 7 of at most 23'])
  t.same(await run(7 + 12 + 17), ['ads/1 has 10 bytes, and the copies take 36 of at most 36'])
  t.same(await run(7 + 10 + 12 + 17), [])
  t.equal(Object.values(contents(to)).join('').length, 46)
  write(from, { 'ads/labels.json': '{"live":"1","next":"2"}' })
  await writeIndex(from)
  t.same(await run(46), ['ads/labels.json has 23 bytes, and the copies take 34 of at most 46'])
  t.same(await run(57), [], 'the former labels make room')
  const index = JSON.parse(readFileSync(join(from, indexFile), 'utf8'))
  index.models.ads.files['labels.json'] = { bytes: 2 ** 52, sha256: '0'.repeat(64) }
  writeFileSync(join(from, indexFile), JSON.stringify(index))
  t.match((await (await open(to, from)).run(signal)).problems, [
    /^ads\/labels\.json has 4503599627370496 bytes, and the disk/,
  ])
})

t.test('deltas are not copied, though an index lists them, and stay where others put them', async (t) => {
  const { from, to } = await setUp(t)
  write(from, { 'ads/2/deltas/delta-1.bin': 'theirs' })
  const index = JSON.parse(readFileSync(join(from, indexFile), 'utf8'))
  index.models.ads.versions[2]['deltas/delta-1.bin'] = {
    bytes: 6,
    sha256: createHash('sha256').update('theirs').digest('hex'),
  }
  writeFileSync(join(from, indexFile), JSON.stringify(index))
  // Those of version 1 are there before it.
  write(to, { 'ads/1/deltas/delta-1.bin': 'ours' })
  const sync = await open(to, from)
  t.same((await sync.run(signal)).problems, [])
  t.same(contents(to), { 'ads/1/deltas/delta-1.bin': 'ours', ...first })
  writeFileSync(join(to, 'ads/1/graph/model.onnx'), 'damage')
  t.same((await sync.run(signal)).copied, [{ model: 'ads', version: '1' }])
  t.same(contents(to), { 'ads/1/deltas/delta-1.bin': 'ours', ...first })
})

t.test('an index that is endless or too slow is refused, and a device', async (t) => {
  const { from, to } = await setUp(t)
  const read = (body: Readable, silence?: number) =>
    readIndex(
      createIndexedSource('x://y', async () => ({ body })),
      undefined,
      signal,
      { silence },
    )
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(1 << 20))
    },
  })
  await t.rejects(read(endless), { message: `x://y/index.json is larger than ${largestIndex} bytes` })
  t.ok(endless.destroyed)
  await t.rejects(read(new Readable({ read: () => undefined }), 20), { message: /^x:\/\/y\/index\.json is silent for/ })
  const lies = { [indexFile]: () => new Readable({ read: () => undefined }) }
  await t.rejects((await open(to, from, { source: lying(from, lies), silence: 20 })).run(signal), {
    message: /is silent for/,
  })
  rmSync(join(from, indexFile))
  symlinkSync('/dev/zero', join(from, indexFile))
  await t.rejects((await open(to, from)).run(signal), {
    message: /index\.json can't be read: it is a pipe or a device$/,
  })
})

t.test('several can work on one folder', async (t) => {
  const { from, to } = await setUp(t)
  for (let v = 3; v < 20; v++)
    write(from, { [`ads/${v}/manifest.json`]: `{"v":${v}}`, [`ads/${v}/a/b`]: 'b'.repeat(v) })
  await writeIndex(from)
  const [a, b] = [await open(to, from), await open(to, from)]
  const passes = await Promise.all([a.run(signal), b.run(signal)])
  for (const { problems, present } of passes) t.same([problems, present], [[], 19])
  t.equal(Object.keys(contents(to)).length, 37)
})

t.test('unfinished copies of a process that died are removed', async (t) => {
  const { from, to } = await setUp(t)
  const dead = join(to, '.sync/unfinished', `${hostname()}-4194304-12345678`)
  const former = join(to, '.sync/unfinished', `${hostname()}-${process.pid}-12345678`)
  const elsewhere = join(to, '.sync/unfinished/other-host-1-12345678')
  for (const folder of [dead, former, elsewhere]) mkdirSync(join(folder, 'version'), { recursive: true })
  await open(to, from)
  t.notOk(existsSync(dead))
  t.notOk(existsSync(former), 'such as process 1 of a container')
  t.ok(existsSync(elsewhere))
})

t.test('stops when its signal is aborted', async (t) => {
  const { from, to } = await setUp(t)
  const controller = new AbortController()
  const hanging = () => {
    controller.abort(new Error('stopped'))
    return new Readable({ read: () => undefined })
  }
  const sync = await open(to, from, { source: lying(from, { 'ads/2/manifest.json': hanging }) })
  await t.rejects(sync.run(controller.signal), { message: 'stopped' })
  t.same(contents(to), {})
  t.same(unfinished(to), [])
})

const byId = (table: string) => JSON.stringify({ entities: { ad: { table } } })

/** A source with two tables, one of two versions, and a model that reads both. */
async function withTables(t: Test) {
  const from = await temporaryFolder(t)
  const to = join(await temporaryFolder(t), 'models')
  write(from, {
    'ads/1/manifest.json': byId('ads'),
    'plain/1/manifest.json': '{}',
    '.tables/ads/2/table.json': 'two',
    '.tables/ads/10/table.json': 'ten',
    '.tables/ads/10/rows.bin': 'rows',
    '.tables/ads/10/deltas/delta-1.bin': 'delta',
    '.tables/users/1/table.json': 'users',
    '.tables/ads/.building-1234/rows.bin': 'r',
    '.tables/empty/.building-1/rows.bin': 'r',
  })
  const index = async () => [await writeTablesIndex(from), await writeIndex(from)]
  await index()
  return { from, to, index }
}

const names = (versions: { model: string; version: string }[]) =>
  versions.map(({ model, version }) => `${model}/${version}`)

t.test('the index of models does not change with tables, whose index is beside them', async (t) => {
  const { from } = await withTables(t)
  const index = JSON.parse(readFileSync(join(from, indexFile), 'utf8'))
  t.same(
    [Object.keys(index), Object.keys(index.models)],
    [
      ['format', 'models'],
      ['ads', 'plain'],
    ],
  )
  const { tables } = JSON.parse(readFileSync(join(from, tablesIndexFile), 'utf8'))
  t.same(Object.keys(tables), ['ads', 'users'])
  t.same(Object.keys(tables.ads.versions), ['2', '10'])
  t.same(Object.keys(tables.ads.versions[10]).sort(), ['rows.bin', 'table.json'], 'without deltas')
  t.same(await writeTablesIndex(from), { tables: 2, versions: 3, bytes: 15 })
  const without = await setUp(t)
  t.equal(await writeTablesIndex(without.from), undefined)
  t.notOk(existsSync(join(without.from, '.tables')))
})

t.test('tables are copied before models, each once, and counted', async (t) => {
  const { from, to } = await withTables(t)
  write(to, { '.tables/ads/10/deltas/delta-1.bin': 'ours', '.tables/own/1/table.json': 'own' })
  const begun: string[] = []
  const sync = await open(to, from, { onCopy: ({ model, version }) => begun.push(`${model}/${version}`) })
  const pass = await sync.run(signal)
  t.same(begun, ['.tables/ads/10', '.tables/users/1', '.tables/ads/2', 'ads/1', 'plain/1'])
  t.same([names(pass.copied), pass.listed, pass.present, pass.problems], [begun, 5, 5, []])
  const copied = {
    '.tables/ads/10/deltas/delta-1.bin': 'ours',
    '.tables/ads/10/rows.bin': 'rows',
    '.tables/ads/10/table.json': 'ten',
    '.tables/ads/2/table.json': 'two',
    '.tables/own/1/table.json': 'own',
    '.tables/users/1/table.json': 'users',
    'ads/1/manifest.json': byId('ads'),
    'plain/1/manifest.json': '{}',
  }
  t.same(contents(to), copied)
  t.same((await sync.run(signal)).copied, [])
  t.same((await (await open(to, from)).run(signal)).copied, [], 'after a restart, too')
  t.same(unfinished(to), [])
  writeFileSync(join(to, '.tables/ads/10/rows.bin'), 'damage')
  t.same(names((await sync.run(signal)).copied), ['.tables/ads/10'])
  t.same(contents(to), copied)
})

t.test('a model waits for the newest version of its table, and other models do not', async (t) => {
  const { from, to, index } = await withTables(t)
  const lies: Record<string, () => Readable> = {
    '.tables/ads/10/rows.bin': () => Readable.from([Buffer.from('r')]),
  }
  const sync = await open(to, from, { source: lying(from, lies) })
  const pass = await sync.run(signal)
  t.same(names(pass.copied), ['.tables/users/1', '.tables/ads/2', 'plain/1'])
  t.match(pass.problems, [
    /\.tables\/ads\/10\/rows\.bin ends after 1 of 4 bytes$/,
    /^ads\/1 waits for the highest version of \.tables\/ads$/,
  ])
  delete lies['.tables/ads/10/rows.bin']
  t.same(names((await sync.run(signal)).copied), ['.tables/ads/10', 'ads/1'])
  // A table that the source does not have is brought by others.
  write(from, { 'ads/2/manifest.json': byId('own'), 'ads/3/manifest.json': 'no JSON' })
  await index()
  const next = await (await open(to, from)).run(signal)
  t.same([names(next.copied), next.problems], [['ads/3', 'ads/2'], []])
})

t.test('a version of a table that the source dropped goes after a while, once there is another', async (t) => {
  const { from, to, index } = await withTables(t)
  let time = 0
  const lies: Record<string, () => Readable> = {}
  const sync = await open(to, from, { keep: 1000, now: () => time, source: lying(from, lies) })
  const at = async (ms: number) => {
    time = ms
    const { removed, problems } = await sync.run(signal)
    return { removed: names(removed).sort(), problems: problems.length }
  }
  await sync.run(signal)
  write(to, { '.tables/own/1/table.json': 'own' })
  rmSync(join(from, '.tables/ads'), { recursive: true })
  write(from, { '.tables/ads/11/table.json': 'eleven' })
  await index()
  lies['.tables/ads/11/table.json'] = () => Readable.from([Buffer.from('damage')])
  t.same(await at(1), { removed: [], problems: 1 })
  t.same(await at(5000), { removed: [], problems: 1 }, 'its successor is damaged')
  delete lies['.tables/ads/11/table.json']
  t.same(await at(5001), { removed: ['.tables/ads/10', '.tables/ads/2'], problems: 0 })
  // Without an index of tables, the source says nothing of them.
  rmSync(join(from, '.tables'), { recursive: true })
  await writeIndex(from)
  t.same(await at(9000), { removed: [], problems: 0 })
  t.same(await at(99_000), { removed: [], problems: 0 })
  // An empty one says that they are gone.
  write(from, { [tablesIndexFile]: '' })
  t.same(await writeTablesIndex(from), { tables: 0, versions: 0, bytes: 0 })
  t.same(await at(100_000), { removed: [], problems: 0 })
  t.same(await at(101_000), { removed: ['.tables/ads/11', '.tables/users/1'], problems: 0 })
  t.same(Object.keys(contents(to)), ['.tables/own/1/table.json', 'ads/1/manifest.json', 'plain/1/manifest.json'])
})

t.test('tables take room, and an index of tables that is wrong changes nothing', async (t) => {
  const { from, to } = await withTables(t)
  const { problems } = await (await open(to, from, { mostBytes: 14 })).run(signal)
  t.match(problems, [
    '.tables/ads/2 has 3 bytes, and the copies take 12 of at most 14',
    /^ads\/1 has \d+ bytes, and the copies take 12 of at most 14$/,
  ])
  const sync = await open(to, from)
  await sync.run(signal)
  const before = contents(to)
  const file = { bytes: 1, sha256: '0'.repeat(64) }
  for (const [index, problem] of [
    ['', /\.tables\/index\.json is not JSON/],
    [{ format: 2, tables: {} }, /\/format must be/],
    [{ format: 1, tables: { '../ads': { versions: {} } } }, /"\.\.\/ads" is not the name of a table/],
    [{ format: 1, tables: { '.x': { versions: {} } } }, /"\.x" is not the name of a table/],
    [{ format: 1, tables: { ads: { versions: { 3: {} } } } }, /ads\/3 lists no file/],
    [{ format: 1, tables: { ads: { versions: { 3: { '../a': file } } } } }, /is not a path inside its folder/],
    [{ format: 1, tables: { ads: { versions: {}, files: {} } } }, /\/tables\/ads\/files is unknown/],
  ] as const) {
    writeFileSync(join(from, tablesIndexFile), typeof index === 'string' ? index : JSON.stringify(index))
    await t.rejects(sync.run(signal), { message: problem })
    t.same(contents(to), before)
  }
  t.same(parseTables('{"format":1,"tables":{},"later":1}'), { models: {}, listsTables: true })
  const models = { '.tables/ads': { versions: { 3: { a: file } } } }
  t.throws(() => parseIndex(JSON.stringify({ format: 1, models })), /"\.tables\/ads" is not the name of a model/)
})

t.test('tables without a model are nothing to start with', async (t) => {
  const { from, to } = await withTables(t)
  const sync = await open(to, from, { mostBytes: 15 })
  t.equal((await sync.run(signal)).present, 3)
  t.equal(await sync.holdsModels(), false)
  await (await open(to, from)).run(signal)
  t.equal(await sync.holdsModels(), true)
})

t.test('an index that would take many times its size of memory is refused before it is parsed', (t) => {
  const mebibytes = (item: string) => item.repeat((16 * 2 ** 20) / item.length)
  const beyond = { message: /the document has more than 1000000 values$/ }
  for (const value of [`[${mebibytes('[],')}0]`, mebibytes('['), mebibytes('{"a":{"b":')]) {
    t.throws(() => parseIndex(`{"format":1,"models":${value}}`), beyond)
    t.throws(() => parseTables(`{"format":1,"tables":${value}}`), beyond)
    t.throws(() => parseOciManifest(`{"layers":${value}}`), beyond)
  }
  const files = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`{[,"\\${i}`.slice(0, 200), i]))
  t.throws(
    () => parseIndex(JSON.stringify({ format: 1, models: files })),
    / must be an object$/,
    'strings hold no values',
  )
  const long = JSON.stringify({ format: 1, models: { ['k'.repeat(2 ** 20)]: 0 } })
  t.throws(() => parseIndex(long), { message: /^\/models\/k{400,500}$/ })
  t.end()
})
