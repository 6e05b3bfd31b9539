import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RowsSpec } from '../../../src/schemas/rows-spec.ts'
import { type LoadedRows, SpecError } from '../../../src/tools/data/source.ts'
import { withHistorySource, withModelHistory } from '../../../src/tools/evaluate/model-history.ts'

const history = { of: ['movie'], by: 'user', order: 'time', last: 3, name: 'history' }
const version = (number: string, more: object = {}) => ({
  name: 'films',
  version: number,
  provenance: { history_of: { ...history, ...more } },
})

async function rows(t: Test, spec: object = {}, header = 'user,time,movie'): Promise<LoadedRows> {
  const folder = t.testdir({})
  await writeFile(join(folder, 'log.csv'), `${header}\n`)
  const whole = {
    data: { csv: ['log.csv'], separator: ',', trim: false, missing: [''] },
    tasks: [],
    fields: [],
    ...spec,
  }
  return { file: join(folder, 'rows.yaml'), spec: whole as RowsSpec, trains: undefined }
}

const problemOf = async (action: () => Promise<unknown>) =>
  action().then(
    () => undefined,
    ({ message }) => message,
  )

t.test('a spec without history has the version’s', async (t) => {
  const given = await rows(t)
  const { loaded, source } = await withModelHistory(given, [{ name: 'other', version: '1' }, version('2')])
  t.same(loaded.spec.history, history)
  const error = new SpecError('rows.yaml', [{ path: '/history/by', message: 'no column "user"' }])
  t.match(
    (withHistorySource(error, source) as Error).message,
    'no column "user"; the spec has no history, so this is that of films/2',
  )
})

t.test('its own history stays, as do lists that the rows have', async (t) => {
  const own = { history: { ...history, last: 9 } }
  t.match((await withModelHistory(await rows(t, own), [version('1')])).loaded.spec, own)
  for (const given of [
    await rows(t, { fields: [{ name: 'history_movie', column: 'seen' }] }),
    await rows(t, {}, 'user,history_movie'),
  ])
    t.notOk((await withModelHistory(given, [version('1')])).loaded.spec.history)
})

t.test('histories that differ, are of no known form, or lack for rows of the past are refused', async (t) => {
  const given = await rows(t)
  const both = [version('1'), version('2', { last: 5 })]
  t.match(
    await problemOf(() => withModelHistory(given, both)),
    /\/history is missing, and the versions have different ones: that of films\/1 is .*"last":3.*, that of films\/2 .*"last":5/,
  )
  t.match((await withModelHistory(given, [version('1'), version('2')])).loaded.spec, { history })
  t.match(
    await problemOf(() => withModelHistory(given, [version('3', { last: 'all' })])),
    /\/history\/last .*; the spec has no history, so this is that of films\/3/,
  )
  const data = { ...given.spec.data, past: ['old.csv'] }
  const past = { ...given, spec: { ...given.spec, data } as RowsSpec }
  t.match(await problemOf(() => withModelHistory(past, [])), /\/data\/past has no effect without history/)
})
