import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { finishedFiles } from '../../../src/tools/ship/finished-files.ts'
import { type ShipOptions, Shipper } from '../../../src/tools/ship/shipper.ts'
import { openFolder } from '../../../src/tools/stores/folder.ts'
import type { ObjectStore } from '../../../src/tools/stores/object-store.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const signal = new AbortController().signal
const now = Date.parse('2026-01-10T00:00:00Z')
const day = 86_400_000
const manifest = '{"name":"ads"}'
const manifestName = `manifest-${createHash('sha256').update(manifest).digest('hex').slice(0, 16)}.json`
const [first, second] = ['ads/1/20260102T030401000Z-a-1.jsonl', 'ads/1/20260102T030402000Z-a-1.parquet']

function write(folder: string, files: Record<string, string>, days = 1): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
    utimesSync(join(folder, path), (now - days * day) / 1000, (now - days * day) / 1000)
  }
}

/** Visible files, with their text. */
function contents(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]))
}

const files = { [first]: '{"a":1}\n', [second]: 'PAR1', [`ads/1/${manifestName}`]: manifest }

async function setUp(t: Test, changes: Partial<ShipOptions> = {}) {
  const root = await temporaryFolder(t)
  const [folder, to] = [join(root, 'log'), join(root, 'to')]
  write(folder, files)
  mkdirSync(to)
  const store = openFolder(to)
  const options = { folder, store, removeDays: undefined, now: () => now, onBytes: () => undefined, delay: () => 0 }
  const create = (more: Partial<ShipOptions> = {}) => new Shipper({ ...options, ...changes, ...more })
  return { folder, to, store, create }
}

t.test('finished files alone are shipped, once, manifests first', async (t) => {
  const order: string[] = []
  let bytes = 0
  const done: string[] = []
  const { folder, to, store, create } = await setUp(t, {
    onBytes: (more) => (bytes += more),
    onFile: (file, all) => done.push(`${file}/${all}`),
  })
  write(folder, {
    'ads/1/20260102T030403000Z-a-1.jsonl.open': 'open',
    'ads/1/20260102T030401000Z-a-1.jsonl.kept': 'kept',
    'ads/1/.20260102T030401000Z.jsonl': 'hidden',
    '.cache/ads/1/x.jsonl': 'hidden',
    'ads/1/manifest-xyz.json': '{}',
    'ads/1/readme.md': 'other',
    'lost+found/x.jsonl': 'lost',
  })
  symlinkSync('/etc/passwd', join(folder, 'ads/1/link.jsonl'))
  const noted: ObjectStore = {
    ...store,
    put(path, ...more) {
      order.push(path)
      return store.put(path, ...more)
    },
  }
  const shipper = create({ store: noted })
  const pass = await shipper.run(signal)
  t.match(pass, { present: 3, waiting: 0, removed: [], problems: [] })
  t.same(pass.sent.sort(), Object.keys(files).sort())
  t.equal((await finishedFiles(folder))[0]!.path, `ads/1/${manifestName}`)
  t.same(contents(to), files)
  t.equal(bytes, Object.values(files).join('').length)
  t.same(done, ['1/3', '2/3', '3/3'])
  t.match(await shipper.run(signal), { sent: [], present: 3, problems: [] })
  t.match(await create({ store: noted }).run(signal), { sent: [], present: 3, problems: [] }, 'after a restart, too')
  t.equal(order.length, 3)
})

t.test('records of requests that met no version are shipped and removed like others', async (t) => {
  const { folder, to, create } = await setUp(t, { removeDays: 0 })
  const path = '.none/20260102T030404000Z-a-1.jsonl'
  write(folder, { [path]: '{"c":1}\n', 'ads/.none/x.jsonl': 'hidden' })
  const pass = await create().run(signal)
  t.match(pass, { present: 4, problems: [] })
  t.same(pass.removed.sort(), [path, first, second])
  t.same(contents(to), { ...files, [path]: '{"c":1}\n' })
})

t.test('a file that is there with other content is named, stays on both sides, and others go on', async (t) => {
  const { folder, to, create } = await setUp(t, { removeDays: 0 })
  write(to, { [first]: '{"b":1}\n' })
  const pass = await create().run(signal)
  t.match(pass, { present: 2, waiting: 1, removed: [second] })
  t.same(pass.problems, [`${join(to, first)} exists with other content than ${join(folder, first)}`])
  t.equal(readFileSync(join(to, first), 'utf8'), '{"b":1}\n')
  t.ok(existsSync(join(folder, first)))
  // As after records of it were erased.
  const shipper = create({ removeDays: undefined })
  write(folder, { [second]: 'PAR1' })
  await shipper.run(signal)
  write(folder, { [second]: 'PAR' }, 2)
  t.equal((await shipper.run(signal)).problems.length, 2)
})

t.test('shipped files that are old enough are removed, but for manifests and what is not in the store', async (t) => {
  const { folder, to, store, create } = await setUp(t, { removeDays: 2 })
  const old = 'ads/1/20260101T030401000Z-a-1.jsonl'
  write(folder, { [old]: 'old' }, 2)
  const shipper = create()
  t.match(await shipper.run(signal), { removed: [old], present: 4, problems: [] })
  t.notOk(existsSync(join(folder, old)))
  t.ok(existsSync(join(to, old)))

  const lost = create({ removeDays: 0, store: { ...store, head: async () => undefined } })
  const pass = await lost.run(signal)
  t.match(pass.removed, [])
  t.match(pass.problems.join(), /exists, but can't be compared: is reading allowed\?/)
  rmSync(to, { recursive: true })
  mkdirSync(to)
  const forgetful = create({ removeDays: 0, store: { ...store, head: async () => undefined } })
  t.match((await forgetful.run(signal)).problems.join(), /stays: .*to does not show that it has it/)
  t.ok(existsSync(join(folder, first)))
  t.same((await create({ removeDays: 0 }).run(signal)).removed.sort(), [first, second])
  t.same(Object.keys(contents(folder)), [`ads/1/${manifestName}`])
})

t.test('files that vanish are skipped; damaged manifests and other folders are named', async (t) => {
  const { folder, store, create } = await setUp(t)
  const vanishing: ObjectStore = {
    ...store,
    head(...args) {
      rmSync(join(folder, first), { force: true })
      return store.head(...args)
    },
  }
  const pass = await create({ store: vanishing }).run(signal)
  t.match(pass, { waiting: 0, problems: [] })
  const damaged = 'ads/2/manifest-0123456789abcdef.json'
  write(folder, { [damaged]: '{' })
  const { problems } = await create().run(signal)
  t.equal(problems.length, 1)
  t.match(problems[0], /manifest-0123456789abcdef\.json is damaged: its SHA-256 is/)
  await t.rejects(create({ folder: join(folder, 'none') }).run(signal), /none can't be read/)
})

t.test('a store that fails is tried again, and a pass ends after some failures', async (t) => {
  const { folder, to, store, create } = await setUp(t)
  const calls: Record<string, number> = {}
  const shaky: ObjectStore = {
    ...store,
    async put(path, ...more) {
      calls[path] = (calls[path] ?? 0) + 1
      if (calls[path] < 3) throw new Error('s3://x: HTTP 503')
      return store.put(path, ...more)
    },
  }
  const waits: number[] = []
  const delay = (tried: number) => {
    waits.push(tried)
    return 0
  }
  t.match(await create({ store: shaky, delay }).run(signal), { present: 3, problems: [] })
  t.ok(waits.includes(1))
  rmSync(to, { recursive: true })
  for (let i = 0; i < 30; i++) write(folder, { [`ads/1/20260102T0304${10 + i}000Z-a-1.jsonl`]: `${i}` })
  let asked = 0
  const down = async () => {
    asked++
    throw new Error('s3://x: HTTP 503')
  }
  const pass = await create({ store: { ...store, head: down } }).run(signal)
  t.match(pass, { sent: [], present: 0, waiting: 33 })
  t.ok(pass.problems.length >= 3 && pass.problems.length <= 6, String(pass.problems.length))
  t.ok(asked <= 18)
  const silent = await create({ store: { ...store, head: () => new Promise(() => undefined) }, silence: 1 }).run(signal)
  t.match(silent.problems[0], /is silent for 0 s/)
})

t.test('several ship one folder at the same time', async (t) => {
  const { folder, to, create } = await setUp(t, { removeDays: 0 })
  const many = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`ads/1/20260102T0304${10 + i}000Z-a-1.jsonl`, `${i}`]),
  )
  write(folder, many)
  const passes = await Promise.all(Array.from({ length: 4 }, () => create().run(signal)))
  t.same(
    passes.flatMap(({ problems }) => problems),
    [],
  )
  t.equal(passes.flatMap(({ sent }) => sent).length, 43)
  t.same(contents(to), { ...files, ...many })
  t.same(Object.keys(contents(folder)), [`ads/1/${manifestName}`])
})

t.test('a pass that is interrupted ends, and leaves nothing unfinished', async (t) => {
  const { to, store, create } = await setUp(t)
  const stop = new AbortController()
  const slow: ObjectStore = {
    ...store,
    put(path, content, condition, signal) {
      stop.abort(new Error('terminated'))
      return store.put(path, content, condition, signal)
    },
  }
  await t.rejects(create({ store: slow }).run(stop.signal), { message: 'terminated' })
  t.same(contents(to), {})
})
