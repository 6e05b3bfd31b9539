import { appendFile, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eachRow, type Overlay, slotOf } from '../../../../src/model/contracts/live-tables.ts'
import { baseOf } from '../../../../src/model/serving/delta-files/container.ts'
import type { DeltaEvent } from '../../../../src/model/serving/delta-files/delta-follower.ts'
import { type Delta, encodeDelta } from '../../../../src/model/serving/deltas/delta-file.ts'
import { followVersion, type LiveVersion } from '../../../../src/model/serving/deltas/live-version.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const manifest = exampleManifest({ name: 'ads', version: '3' })
const field = manifest.features.find(({ kind }) => kind === 'hash')!
const base = baseOf(manifest.files)

interface Followed {
  folder: string
  version: LiveVersion
  served: Overlay[]
  events: DeltaEvent[]
  /** Makes the workers refuse overlays. */
  refuse(error: Error | undefined): void
  write(sequence: number, ids: number[], value?: number, changes?: Partial<Delta>): Promise<void>
  refresh(): Promise<ReturnType<LiveVersion['status']>>
  /** The value that an id's row has now; undefined: the table's. */
  valueFor(id: number): number | undefined
}

function follow(t: Test, problem?: string, mostBytes?: number): Followed {
  const folder = t.testdir({ '3': {} })
  const version3 = join(folder, '3')
  const served: Overlay[] = []
  const events: DeltaEvent[] = []
  let refusal: Error | undefined
  const live = {
    tables: [{ overlay: 'o', pages: 'p', slots: 's', rows: 12, width: 2, columns: [{ column: 0, ids: 10, first: 1 }] }],
  }
  const only = { ...manifest, features: [field] }
  const version = followVersion({
    folder: version3,
    manifest: only,
    live: problem ?? live,
    ...(mostBytes && { mostBytes }),
    async serve(overlay) {
      if (refusal) throw refusal
      served.push(overlay)
    },
    clock: createFakeClock(),
    now: () => 1_700_000_000_000,
    onEvent: (event) => events.push(event),
  })
  return {
    folder: version3,
    version,
    served,
    events,
    refuse: (error) => {
      refusal = error
    },
    async write(sequence, ids, value = sequence, changes = {}) {
      const rows = new Float32Array(ids.length * 2).fill(value)
      const tables = [{ field: field.name, width: 2, ids: Uint32Array.from(ids), rows }]
      const bytes = encodeDelta({ model: 'ads', version: '3', base, sequence, tables, ...changes })
      const path = join(version3, 'deltas', `delta-${sequence}.bin`)
      await mkdir(join(version3, 'deltas'), { recursive: true })
      await writeFile(`${path}.tmp`, bytes)
      await rename(`${path}.tmp`, path)
    },
    async refresh() {
      await version.refresh()
      return version.status()
    },
    valueFor(id) {
      const [table] = served.at(-1)!.tables
      const row = slotOf(table!.changed, 1 + id)
      return row === 0 ? undefined : table!.rows[row * 2]
    },
  }
}

const changedIn = ({ changed: { since, tables } }: Overlay) => {
  const ids: number[] = []
  for (const table of tables) eachRow(table, (row) => ids.push(row - 1))
  return { since, ids: ids.sort() }
}

t.test('nothing is applied where there is nothing', async (t) => {
  const { refresh, served, events } = follow(t)
  t.same(await refresh(), { applied: 0, rows: 0, bytes: 16, last_applied_at: null, refused: null })
  t.same([served.length, events.length], [0, 0])
})

t.test('files are applied in order and once, later rows over earlier ones', async (t) => {
  const { refresh, write, served, events, valueFor } = follow(t)
  await write(1, [1, 2])
  await write(2, [2, 3])
  t.match(await refresh(), { applied: 2, rows: 3, last_applied_at: '2023-11-14T22:13:20.000Z', refused: null })
  t.same([1, 2, 3, 4].map(valueFor), [1, 2, 2, undefined])
  t.same(changedIn(served[0]!), { since: 0, ids: [1, 2, 3] })
  await refresh()
  t.equal(served.length, 1, 'an unchanged folder changes nothing')
  await write(3, [1])
  t.match(await refresh(), { applied: 3, rows: 3 })
  t.same([1, 2, 3, 4].map(valueFor), [3, 2, 2, undefined])
  t.same(changedIn(served[1]!), { since: 1, ids: [1] })
  t.match(events, [
    { type: 'applied', from: 0, to: 2, rows: 3 },
    { type: 'applied', from: 2, to: 3, rows: 3 },
  ])
})

t.test('without the last file its rows are gone', async (t) => {
  const { refresh, write, folder, valueFor, events, served } = follow(t)
  await write(1, [1])
  await write(2, [1, 5])
  await refresh()
  await rm(join(folder, 'deltas', 'delta-2.bin'))
  t.match(await refresh(), { applied: 1, rows: 1, refused: null })
  t.same([1, 5].map(valueFor), [1, undefined])
  t.same(changedIn(served[1]!).ids, [1, 5], 'both ids may differ')
  await rm(join(folder, 'deltas'), { recursive: true })
  t.match(await refresh(), { applied: 0, rows: 0 })
  t.equal(valueFor(1), undefined)
  t.same(
    events.map(({ type }) => type),
    ['applied', 'reverted', 'reverted'],
  )
})

t.test('a gap ends the sequence, until it is filled', async (t) => {
  const { refresh, write } = follow(t)
  await write(1, [1])
  await write(3, [3])
  const refused = { file: 'deltas/delta-3.bin', reason: 'deltas/delta-2.bin is missing' }
  t.match(await refresh(), { applied: 1, refused })
  await write(2, [2])
  t.match(await refresh(), { applied: 3, refused: null })
})

t.test('a wrong file and those after it are refused; what was applied stays', async (t) => {
  const { refresh, write, events, version, valueFor } = follow(t)
  await write(1, [1])
  await refresh()
  const cases: [Partial<Delta>, RegExp][] = [
    [{ sequence: 1 }, /^says that it is number 1$/],
    [{ model: 'other' }, /^is of other\/3, not of ads\/3$/],
    [{ version: '2' }, /^is of ads\/2, not of ads\/3$/],
    [{ base: '0'.repeat(64) }, /^was made for other files of ads\/3/],
  ]
  for (const [i, [changes, reason]] of cases.entries()) {
    await write(2, [2], 7 + i, changes)
    await write(3, [3])
    t.match(await refresh(), { applied: 1, rows: 1, refused: { file: 'deltas/delta-2.bin', reason } }, `${reason}`)
    await refresh()
    t.equal(version.counts().refused, i + 1, 'each is counted once')
  }
  t.equal(events.filter(({ type }) => type === 'refused').length, cases.length)
  t.equal(valueFor(1), 1)
  await write(2, [2])
  t.match(await refresh(), { applied: 3, refused: null })
})

t.test('a link that leads out of the folder is not followed; what was applied stays', async (t) => {
  const { refresh, write, folder, valueFor } = follow(t)
  await write(1, [1])
  await refresh()
  await write(2, [2])
  const place = join(folder, 'deltas/delta-2.bin')
  await rename(place, join(folder, '../elsewhere'))
  await symlink('../../elsewhere', place)
  const reason = "can't be read: deltas/delta-2.bin leads out of its folder"
  t.match(await refresh(), { applied: 1, refused: { file: 'deltas', reason } })
  await rm(place)
  await rename(join(folder, '../elsewhere'), join(folder, 'kept'))
  // An absolute link still leads there when its folder has moved.
  await symlink(join(folder, 'kept'), place)
  t.match(await refresh(), { applied: 2, refused: null }, 'a link inside is')
  await rename(join(folder, 'deltas'), join(folder, '../deltas'))
  await symlink('../deltas', join(folder, 'deltas'))
  t.match(await refresh(), { applied: 2, refused: { reason: /deltas\/delta-\d\.bin leads out of its folder$/ } })
  t.same([1, 2].map(valueFor), [1, 2])
})

t.test('a file that is still being written is read again when it is whole', async (t) => {
  const { refresh, write, folder } = follow(t)
  await write(1, [1])
  const path = join(folder, 'deltas', 'delta-2.bin')
  const tables = [{ field: field.name, width: 2, ids: Uint32Array.of(2), rows: new Float32Array(2) }]
  const bytes = encodeDelta({ model: 'ads', version: '3', base, sequence: 2, tables })
  await writeFile(path, bytes.subarray(0, 100))
  t.match(await refresh(), { applied: 1, refused: { reason: /^ends inside its header|truncated$/ } })
  await appendFile(path, bytes.subarray(100))
  t.match(await refresh(), { applied: 2, refused: null })
})

t.test('an applied file that changes is read again, with those after it', async (t) => {
  const { refresh, write, folder, valueFor } = follow(t)
  await write(1, [1, 2])
  await write(2, [2])
  await refresh()
  await write(1, [1, 4], 8)
  t.match(await refresh(), { applied: 2, rows: 3 })
  t.same([1, 2, 4].map(valueFor), [8, 2, 8])
  const [file] = ['deltas/delta-1.bin']
  await writeFile(join(folder, file!), 'damaged')
  t.match(await refresh(), { applied: 0, rows: 0, refused: { file, reason: /^does not begin with/ } })
})

t.test('names that are no delta are refused if they look like one, and are nothing otherwise', async (t) => {
  const { refresh, write, folder } = follow(t)
  await write(1, [1])
  for (const name of ['README', '.delta-2.bin.tmp', 'delta-2.bin.tmp'])
    await writeFile(join(folder, 'deltas', name), '')
  t.match(await refresh(), { applied: 1, refused: null })
  await writeFile(join(folder, 'deltas', 'delta-02.bin'), '')
  t.match(await refresh(), {
    applied: 1,
    refused: { file: 'deltas/delta-02.bin', reason: 'is not named delta-<number>.bin' },
  })
})

t.test('a version whose folder is gone keeps its rows', async (t) => {
  const { refresh, write, folder, served } = follow(t)
  await write(1, [1])
  await refresh()
  await rename(folder, `${folder}-away`)
  t.match(await refresh(), { applied: 1, rows: 1, refused: { file: 'deltas', reason: /it is missing/ } })
  await rename(`${folder}-away`, folder)
  t.match(await refresh(), { applied: 1, refused: null })
  t.equal(served.length, 1)
})

t.test('a file that can not be read is tried again, though it does not change', async (t) => {
  const { refresh, write, folder, served } = follow(t)
  await write(1, [1])
  await mkdir(join(folder, 'deltas', 'delta-2.bin'))
  t.match(await refresh(), { applied: 1, refused: { file: 'deltas/delta-2.bin', reason: /^can't be read/ } })
  await rm(join(folder, 'deltas', 'delta-2.bin'), { recursive: true })
  await refresh()
  await rm(join(folder, 'deltas', 'delta-1.bin'))
  await mkdir(join(folder, 'deltas', 'delta-1.bin'))
  t.match(await refresh(), { applied: 1, rows: 1, refused: { file: 'deltas/delta-1.bin', reason: /^can't be read/ } })
  t.equal(served.length, 1, 'what was applied stays')
})

t.test('workers that can not take an overlay over are asked again', async (t) => {
  const { refresh, write, refuse, valueFor } = follow(t)
  await write(1, [1])
  refuse(new RangeError('Array buffer allocation failed'))
  const reason = 'could not be taken over: Array buffer allocation failed'
  t.match(await refresh(), { applied: 0, rows: 0, refused: { file: 'deltas/delta-1.bin', reason } })
  refuse(undefined)
  t.match(await refresh(), { applied: 1, refused: null })
  t.equal(valueFor(1), 1)
})

t.test('a version that can have no deltas gives the reason for each', async (t) => {
  const { refresh, write, served } = follow(t, 'live fields need a compiled graph')
  t.equal((await refresh()).refused, null)
  await write(1, [1])
  t.match(await refresh(), { applied: 0, refused: { file: 'deltas/delta-1.bin', reason: /need a compiled graph/ } })
  t.equal(served.length, 0)
})

t.test('large deltas are applied in a thread, with the same result', async (t) => {
  const { refresh, write, folder, valueFor, served } = follow(t)
  await write(1, [1])
  await refresh()
  await write(2, [2, 3])
  // The size alone decides; the rest of the file is not looked at before the thread does.
  await appendFile(join(folder, 'deltas', 'delta-2.bin'), Buffer.alloc(2 ** 20))
  t.match(await refresh(), { applied: 1, refused: { file: 'deltas/delta-2.bin', reason: /it is too long$/ } })
  await write(2, [2, 3])
  await write(3, [3], 9)
  await appendFile(join(folder, 'deltas', 'delta-3.bin'), Buffer.alloc(2 ** 20))
  t.match(await refresh(), { applied: 2, rows: 3, refused: { file: 'deltas/delta-3.bin', reason: /it is too long$/ } })
  t.same([1, 2, 3].map(valueFor), [1, 2, 2])
  t.equal(served.at(-1)!.changed.since, served.at(-2)!.number)
})

t.test('changed rows have a bound', async (t) => {
  const { refresh, write } = follow(t, undefined, 16 + 3 * 24)
  await write(1, [1, 2])
  await write(2, [3])
  t.match(await refresh(), { applied: 2, refused: null })
  await write(3, [4])
  const reason = /^would make the changed rows take more than 88 bytes$/
  t.match(await refresh(), { applied: 2, refused: { file: 'deltas/delta-3.bin', reason } })
})

t.test('nothing is applied after it is closed', async (t) => {
  const { refresh, write, version, served } = follow(t)
  await write(1, [1])
  await version.close()
  t.equal((await refresh()).applied, 0)
  t.equal(served.length, 0)
})

t.test('a touched file is read again', async (t) => {
  const { refresh, write, folder, served } = follow(t)
  await write(1, [1])
  await refresh()
  await utimes(join(folder, 'deltas', 'delta-1.bin'), 1, 1)
  t.match(await refresh(), { applied: 1 })
  t.equal(served.length, 2)
})
