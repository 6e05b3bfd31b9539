// Histories of fields that hash their values, and of lists: trained, served, judged, and continued.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { layoutOf } from '../../../src/model/serving/features/layout.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { filmCsv, genres, history, movie, filmSpec as spec } from '../../support/film-rows.ts'
import { startTestServer } from '../../support/server.ts'
import { specs } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const folder = await temporaryFolder(t)
const models = join(folder, 'models')
await writeFile(join(folder, 'log.csv'), filmCsv(0))
await writeFile(join(folder, 'next.csv'), filmCsv(1000))
await trainIn(folder, spec)
const { manifest } = await readBundle(models, 'films', '1')

t.test('the list of hashed values shares their table, which has a row for padding', async (t) => {
  t.match(manifest.features, [
    { name: 'hour' },
    { ...movie, padded: true },
    { name: 'genres', list: { max: 2 } },
    { name: 'history_movie', kind: 'shared', table: 'movie', list: { max: 3, keep: 'last' }, sequence: 'history' },
    { name: 'history_genres', kind: 'shared', table: 'genres', out_of_vocabulary: 'drop', list: { max: 4 } },
  ])
  t.notOk('sequence' in manifest.features[4]!, 'values of lists are in no sequence')
  t.same(manifest.provenance!.field_options!.history_genres, { pooling: 'sum' })
  const { byName, sparse } = layoutOf(manifest)
  const [single, list] = [byName.get('movie')!, byName.get('history_movie')!]
  const { offset, ids } = sparse[single.column]!
  t.equal(ids, 51)
  t.equal(list.padding, offset)
  for (let i = 0; i < 500; i++) {
    const id = single.encoder.encode(`m${i}`)
    t.ok((id as number) > offset)
    t.equal(list.encoder.item(`m${i}`), id)
  }
})

t.test('the server answers as training did, and needs no history', async (t) => {
  // It refuses versions that answer golden rows otherwise.
  const server = await startTestServer(t, { models })
  const rows = manifest.golden!.rows
  t.ok(rows.some(({ history_genres: values }) => (values as string[]).length > 0))
  const ask = async (body: object) => {
    const { status, body: answer } = await server.predict(body)
    t.equal(status, 200)
    const { predictions } = answer
    return Array.isArray(predictions) ? predictions.map(({ ctr }: { ctr: number }) => ctr) : predictions.ctr
  }
  const given = await ask({ candidates: rows })
  given.forEach((ctr: number, i: number) => {
    t.ok(Math.abs(ctr - manifest.golden!.served![i]![0]!) < 1e-5)
  })
  const columns = Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name]!)]))
  t.same(await ask({ candidates: columns }), given)
  const row = { hour: 3, movie: 'm1' }
  const [none, empty, some] = await ask({
    candidates: [row, { ...row, history_movie: [], history_genres: [] }, { ...row, history_genres: ['war', 'war'] }],
  })
  t.equal(empty, none)
  t.not(some, none)
})

t.test('the version is judged by its rows, calibrated, and goes on with those of the next day', async (t) => {
  await writeFile(join(folder, 'judge.json'), JSON.stringify(spec))
  const options = ['--models', models, '--data', join(folder, 'judge.json')]
  t.match(await runCli(['evaluate', 'films/1', ...options]), { code: 0, stdout: /ctr/ })
  const { fields, training: _, architecture: __, sequences: ___, name: ____, ...rows } = spec
  await writeFile(join(folder, 'rows.json'), JSON.stringify({ ...rows, fields: [read(fields[2]!)] }))
  const judged = await runCli([
    'evaluate',
    'films/1',
    '--models',
    models,
    '--data',
    join(folder, 'rows.json'),
    '--json',
  ])
  t.equal(judged.code, 0, judged.stderr)
  // The same without `history`, which is then the version's.
  await writeFile(
    join(folder, 'bare.json'),
    JSON.stringify({ ...rows, history: undefined, fields: [read(fields[2]!)] }),
  )
  const bare = await runCli(['evaluate', 'films/1', '--models', models, '--data', join(folder, 'bare.json'), '--json'])
  t.equal(bare.code, 0, bare.stderr)
  t.same(JSON.parse(bare.stdout).tasks, JSON.parse(judged.stdout).tasks)
  const data = { csv: ['next.csv'], past: ['log.csv'] }
  const following = { data, training: spec.training, split: spec.split, group: 'user' }
  await t.rejects(trainIn(folder, { ...following, history: { ...history, last: 5, max: 7 } }, 'films'), {
    message: /\n {2}\/history\/last must be 3, as in films\/1\n {2}\/history\/max must be 4, as in films\/1$/,
  })
  await trainIn(folder, following, 'films')
  const next = (await readBundle(models, 'films', '2')).manifest
  t.same(next.features.slice(1), manifest.features.slice(1))
  t.match(next.provenance, { from: 'films/1', history_of: history })
})

/** How a field is read, without what the version says of it. */
function read({ name, column, list }: Partial<typeof genres>) {
  return { name, column, list: { separator: list!.separator } }
}

t.test('the values of lists are not attended to, which the message says', async (t) => {
  const problem = async (changes: object, message: RegExp) => {
    await writeFile(join(folder, 'wrong.json'), JSON.stringify({ ...spec, ...changes }))
    await t.rejects(readSpec(join(folder, 'wrong.json'), specs), { message })
  }
  const kind = { name: 'kind', column: 'hour', kind: 'shared', table: 'genres', out_of_vocabulary: 'bucket' }
  const [sequence] = spec.sequences
  await problem(
    { fields: [...spec.fields, kind], sequences: [{ ...sequence, target: ['kind'] }] },
    /\/sequences\/0\/target\/0 "kind" can't be compared with history_genres: genres is a list, of which each earlier row has any number/,
  )
  await problem(
    { history: { ...history, of: ['genres'] } },
    /\/sequences\/0\/name has nothing to attend to: genres is a list, of which each/,
  )
  await problem(
    { history: { ...history, of: ['movi', 'genres'] } },
    /:\n {2}\/history\/of\/0 "movi" is not a field[^\n]*$/,
  )
  const ages = { name: 'ages', kind: 'numeric', column: 'kinds', list: { max: 2, separator: '|' } }
  await problem(
    { fields: [...spec.fields, ages], history: { ...history, of: ['movie', 'ages'] } },
    /\/history\/of\/1 "ages" is a list of numbers, which do not show how many of them there are/,
  )
  await problem(
    { fields: [...spec.fields.slice(0, 2), { ...genres, kind: 'hash', buckets: 5, padded: true }] },
    /\/fields\/2\/padded has no meaning: a list has a row for padding already/,
  )
})
