import { chmod, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createNewestFiles } from '../../../src/server/prediction-log/newest-files.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'
import { until } from '../../support/until.ts'

/** A name of the second `i` of a day. */
const nameOf = (i: number, end = '.jsonl') => {
  const time = new Date(Date.UTC(2026, 11, 2) + 1000 * i).toISOString().replace(/[-:.]/g, '')
  return `${time}-host-7${end}`
}

async function writeFiles(t: Test, files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

t.test('the newest first, whatever their versions; nothing else that lies there', async (t) => {
  const folder = await writeFiles(t, {
    [`ads/1/${nameOf(1)}`]: 'a',
    [`ads/2/${nameOf(5, '.jsonl.open')}`]: 'abc',
    [`.none/${nameOf(3)}`]: '',
    [`shop/1/${nameOf(2, '.parquet')}`]: 'ab',
    'ads/1/manifest-0123456789abcdef.json': '{}',
    [`ads/1/${nameOf(9)}.tmp`]: '',
    'ads/1/notes.jsonl': '',
    [`ads/1/deeper/${nameOf(8)}`]: '',
  })
  const moment = new Date('2026-12-02T03:04:05.678Z')
  await utimes(join(folder, `ads/1/${nameOf(1)}`), moment, moment)
  await symlink(join(folder, 'ads'), join(folder, 'linked'))
  await symlink(join(folder, `ads/1/${nameOf(1)}`), join(folder, `ads/1/${nameOf(7)}`))
  const { newest, missing } = await createNewestFiles({ folder, clock: createFakeClock() })()
  t.equal(missing, undefined)
  t.match(newest, [
    { model: 'ads', version: '2', name: nameOf(5), bytes: 3, open: true },
    { name: nameOf(3), bytes: 0, open: false },
    { model: 'shop', version: '1', name: nameOf(2, '.parquet'), bytes: 2 },
    { model: 'ads', version: '1', name: nameOf(1), bytes: 1, open: false, written_at: moment.toISOString() },
  ])
  t.equal(newest.length, 4)
  t.notOk('model' in newest[1]!)
})

t.test('at most 20, of at most as many names as are looked at', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`ads/${i % 3}/${nameOf(i)}`, '']))
  const folder = await writeFiles(t, files)
  const whole = await createNewestFiles({ folder, clock: createFakeClock() })()
  t.same(
    whole.newest.map(({ name }) => name),
    Array.from({ length: 20 }, (_, i) => nameOf(49 - i)),
  )
  // Four folders, and six files.
  const few = await createNewestFiles({ folder, clock: createFakeClock(), most: 10 })()
  t.equal(few.newest.length, 6)
  t.equal(few.missing, 'too_many')
  const exactly = await createNewestFiles({ folder, clock: createFakeClock(), most: 54 })()
  t.equal(exactly.missing, undefined)
})

t.test('a folder that is not there, or can not be read, has none', async (t) => {
  const folder = await writeFiles(t, { [`ads/1/${nameOf(1)}`]: 'a' })
  const list = (folder: string) => createNewestFiles({ folder, clock: createFakeClock() })()
  t.same(await list(join(folder, 'gone')), { newest: [] })
  t.same(await list(join(folder, `ads/1/${nameOf(1)}`)), { newest: [] })
  if (process.getuid?.() === 0) return
  await chmod(join(folder, 'ads'), 0)
  t.same(await list(folder), { newest: [] })
  await chmod(join(folder, 'ads'), 0o700)
})

t.test('it is listed once for all that ask within five seconds', async (t) => {
  const folder = await writeFiles(t, { [`ads/1/${nameOf(1, '.jsonl.open')}`]: 'a' })
  const clock = createFakeClock()
  const list = createNewestFiles({ folder, clock })
  const [first, second] = await Promise.all([list(), list()])
  t.equal(first, second)
  await rename(join(folder, `ads/1/${nameOf(1, '.jsonl.open')}`), join(folder, `ads/1/${nameOf(1)}`))
  clock.pass(4999)
  t.equal(await list(), first)
  clock.pass(1)
  t.match(await list(), { newest: [{ name: nameOf(1), open: false }] })
  t.equal(clock.timers, 0)
  await rm(join(folder, 'ads'), { recursive: true })
})

t.test('a folder that does not answer is waited for a second, and what was found before stands', async (t) => {
  const folder = await writeFiles(t, { [`ads/1/${nameOf(1)}`]: 'a' })
  const clock = createFakeClock()
  const list = createNewestFiles({ folder, clock })
  const before = await list()
  clock.pass(5000)
  await writeFile(join(folder, `ads/1/${nameOf(2)}`), '')
  const asked = list()
  // Time passes before the folder can have answered.
  clock.advance(1000)
  t.same(await asked, { ...before, missing: 'slow' })
  await until(async () => {
    clock.pass(5000)
    return (await list()).newest.length === 2
  })
})
