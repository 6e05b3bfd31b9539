import fs from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LogFiles, type LogFilesOptions } from '../../../src/server/prediction-log/log-files.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const begun = Date.UTC(2026, 0, 2, 3, 4, 5)

async function files(t: Test, options: Partial<LogFilesOptions> = {}) {
  const folder = await temporaryFolder(t)
  const clock = { now: begun }
  const log = new LogFiles({
    ...{ folder, instance: 'a', fileBytes: 10, fileSeconds: 60, maxBytes: 1000, maxDays: 7, now: () => clock.now },
    ...options,
  })
  return { folder, log, clock, list: async () => (await readdir(join(folder, 'ads/1'))).sort() }
}

const name = (time: string, again = '') => `${time}-a-${process.pid}${again}.jsonl`
const [first, second] = ['20260102T030405000Z', '20260102T030505000Z']

t.test('a file has its name once it is large or old enough, or the log ends', async (t) => {
  const { folder, log, clock, list } = await files(t)
  log.append('ads/1', 'one\n')
  t.same(await list(), [`${name(first)}.open`])
  log.append('ads/1', 'and two\n')
  t.same(await list(), [name(first)])
  log.look()
  t.equal(log.disk, 12)
  log.append('ads/1', '3\n')
  t.same(
    await list(),
    [name(first, '-1'), name(first)].map((file) => (file === name(first) ? file : `${file}.open`)).sort(),
  )
  clock.now += 59_999
  log.look()
  t.equal((await list()).filter((file) => file.endsWith('.open')).length, 1)
  clock.now++
  log.look()
  t.equal((await list()).filter((file) => file.endsWith('.open')).length, 0)
  log.append('ads/1', '4\n')
  log.close()
  t.same(await readFile(join(folder, 'ads/1', name(second)), 'utf8'), '4\n')
  log.append('ads/1', '5\n')
  clock.now -= 3_600_000
  log.look()
  t.equal((await list()).filter((file) => file.endsWith('.open')).length, 0, 'the clock went back')
  await rename(join(folder, 'ads/1', name(first)), join(folder, 'ads/1', name(first).replace('jsonl', 'parquet')))
  clock.now = begun
  log.append('ads/1', '6\n')
  t.ok((await list()).includes(`${name(first, '-2')}.open`), 'to the time of a file that was converted')
})

t.test('the oldest files are removed beyond the bytes and the days, and nothing else is', async (t) => {
  const { folder, log, list } = await files(t, { maxBytes: 25 })
  await mkdir(join(folder, 'ads/1'), { recursive: true })
  await writeFile(join(folder, 'ads/1/manifest-0123.json'), 'x'.repeat(1000))
  await writeFile(join(folder, 'ads/1/notes.jsonl'), 'x'.repeat(1000))
  for (const [time, days] of [
    ['20250101T000000000Z', 8],
    ['20251230T000000000Z', 3],
    ['20251231T000000000Z', 2],
  ] as const) {
    const path = join(folder, 'ads/1', name(time))
    await writeFile(path, '0123456789')
    await utimes(path, begun / 1000 - days * 86_400, begun / 1000 - days * 86_400)
  }
  for (const [begin, age] of [
    ['20250101T000000000Z', 601],
    ['20251230T000000000Z', 599],
  ] as const) {
    for (const file of [name(begin), name(begin).replace('jsonl', 'parquet')]) {
      const path = join(folder, 'ads/1', `${file}.kept`)
      await writeFile(path, '')
      await utimes(path, begun / 1000 - age, begun / 1000 - age)
    }
  }
  log.prune()
  t.ok((await list()).includes(`${name('20251230T000000000Z')}.kept`), 'records are being erased')
  for (const kind of ['jsonl', 'parquet'])
    await rm(join(folder, 'ads/1', `${name('20251230T000000000Z').replace('jsonl', kind)}.kept`))
  const kept = ['manifest-0123.json', 'notes.jsonl']
  t.same(await list(), [name('20251230T000000000Z'), name('20251231T000000000Z'), ...kept])
  log.append('ads/1', '0123456789')
  log.look()
  t.same(await list(), [name('20251231T000000000Z'), name(first), ...kept])
})

t.test('files come of age, and are converted, without further requests', async (t) => {
  const { folder, log, list, clock } = await files(t)
  log.append('ads/1', '0123456789')
  log.look()
  t.equal(log.disk, 10)
  const path = join(folder, 'ads/1', name(first))
  const converted = path.replace('jsonl', 'parquet')
  await rename(path, converted)
  await writeFile(converted, 'PAR1')
  await utimes(converted, begun / 1000, begun / 1000)
  clock.now += 59_999
  log.look()
  t.equal(log.disk, 10, 'folders are not read each second')
  clock.now++
  log.look()
  t.equal(log.disk, 4)
  clock.now = begun + 7 * 86_400_000 + 1
  log.look()
  t.same(await list(), [])
  t.equal(log.disk, 0)
})

t.test('what a process has left behind is ended with its last whole line', async (t) => {
  const { folder, log, list, clock } = await files(t)
  clock.now = Date.now()
  await mkdir(join(folder, 'ads/1'), { recursive: true })
  const leave = (file: string, text: string) => writeFile(join(folder, 'ads/1', `${file}.open`), text)
  // No process has this id.
  const dead = 2 ** 22 + 1
  await leave(`20260101T000000000Z-a-${dead}.jsonl`, '{"a":1}\n{"b":')
  await leave(`20260101T000000001Z-a-${dead}-1.jsonl`, '{"a')
  // Its name is taken.
  await mkdir(join(folder, 'ads/1', `20250101T000000000Z-a-${dead}.jsonl`))
  await leave(`20250101T000000000Z-a-${dead}.jsonl`, '{"a":1}\n')
  const long = `20260101T000000005Z-a-${dead}.jsonl`
  await leave(long, `{"a":1}\n${'x'.repeat(200_000)}`)
  await leave(`20260101T000000002Z-a-${process.ppid}.jsonl`, '{"a":1}\n')
  await leave(`20260101T000000003Z-other-${dead}.jsonl`, '{"a":1}\n')
  await leave(`20260101T000000004Z-other-${dead}.jsonl`, '{"a":1}\n')
  const old = Date.now() / 1000 - 601
  await utimes(join(folder, 'ads/1', `20260101T000000004Z-other-${dead}.jsonl.open`), old, old)
  log.recover()
  t.same(await list(), [
    `20250101T000000000Z-a-${dead}.jsonl`,
    `20250101T000000000Z-a-${dead}.jsonl.open`,
    `20260101T000000000Z-a-${dead}.jsonl`,
    `20260101T000000002Z-a-${process.ppid}.jsonl.open`,
    `20260101T000000003Z-other-${dead}.jsonl.open`,
    `20260101T000000004Z-other-${dead}.jsonl`,
    long,
  ])
  t.equal((await stat(join(folder, 'ads/1', long))).size, 8)
  t.equal(await readFile(join(folder, `ads/1/20260101T000000000Z-a-${dead}.jsonl`), 'utf8'), '{"a":1}\n')
})

t.test('a folder that was removed, or is a file, or a link to another', async (t) => {
  const { folder, log, list } = await files(t)
  log.append('ads/1', '1\n')
  await rm(folder, { recursive: true })
  log.look()
  log.append('ads/1', '2\n')
  t.equal((await list()).length, 1)
  await rm(folder, { recursive: true })
  await writeFile(folder, '')
  log.look()
  t.throws(() => log.append('ads/1', '3\n'), { code: 'ENOTDIR' })
  await rm(folder)
  log.append('ads/1', '4\n')
  t.equal((await stat(join(folder, 'ads/1', (await list())[0]!))).size, 2)
})

t.test(
  'a file that the disk takes no more of is ended with its whole lines, and an empty one is removed',
  async (t) => {
    const { log, list, clock } = await files(t, { fileBytes: 100 })
    log.append('ads/1', 'one\n')
    const { writeSync } = fs
    let writes = 0
    const failing = (handle: number, bytes: Uint8Array) => {
      if (writes++ % 2 === 0) return writeSync(handle, bytes, 0, 1)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    }
    t.teardown(() => {
      fs.writeSync = writeSync
      syncBuiltinESMExports()
    })
    fs.writeSync = failing as typeof writeSync
    syncBuiltinESMExports()
    for (let i = 0; i < 3; i++) {
      t.throws(() => log.append('ads/1', 'two\n'), { code: 'ENOSPC' })
      clock.now += 1000
    }
    t.same(await list(), [name(first)])
    log.look()
    t.equal(log.disk, 4)
  },
)

t.test('a folder that is created again gets the manifest of its version again', async (t) => {
  const { folder, log, list, clock } = await files(t)
  log.accompany('ads/1', 'manifest-0.json', Buffer.from('{}'))
  t.same(await list(), ['manifest-0.json'])
  log.append('ads/1', '1\n')
  await rm(folder, { recursive: true })
  log.look()
  t.equal(log.disk, 0)
  clock.now++
  log.append('ads/1', '2\n')
  t.equal(await readFile(join(folder, 'ads/1/manifest-0.json'), 'utf8'), '{}')
})
