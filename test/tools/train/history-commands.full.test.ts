// Commands that know of training, on a version with histories, one of them crossed: conditions, reports, calibration,
// precisions, comparison and catalogues.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readQuantizationRows } from '../../../src/model/serving/bundle/quantization.ts'
import { layoutOf } from '../../../src/model/serving/features/layout.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { filmCsv, filmSpec } from '../../support/film-rows.ts'

const crossed = { name: 'movie_liked', kind: 'crossed', of: ['movie', 'history_genres'] }
const spec = {
  ...{ ...filmSpec, fields: [...filmSpec.fields, crossed] },
  training: { ...filmSpec.training, epochs: 6 },
  publish: { not_worse: true, metrics: { ctr: { auc: { min: 0.3 } } } },
}
const folder = await temporaryFolder(t)
const models = join(folder, 'models')
const file = join(folder, 'spec.json')
await writeFile(join(folder, 'log.csv'), filmCsv(0, 1500))
await writeFile(file, JSON.stringify(spec))
const report = join(folder, 'report')
const first = await runCli(['train', file, '--models', models, '--report', report])
if (first.code !== 0) throw new Error(first.stderr)
const { manifest } = await readBundle(models, 'films', '1')

t.test('the report has the conditions, sequences and a model card that says how histories are made', async (t) => {
  t.same(manifest.crossed, [{ name: 'movie_liked', of: ['movie', 'history_genres'], buckets: 100_000, seed: 0 }])
  const { publish, sequences } = JSON.parse(await readFile(join(report, 'report.json'), 'utf8'))
  t.match(publish, { passed: true, conditions: [{ passed: true }, { passed: true }] })
  t.match(sequences, [
    { name: 'genres', max: 2 },
    { name: 'history', fields: ['history_movie'], max: 3, attention: { kind: 'din' } },
    { name: 'history_genres', max: 4 },
  ])
  const html = await readFile(join(report, 'report.html'), 'utf8')
  for (const text of ['Histories are made of', 'Sequences</dt>', 'history of golden row']) t.match(html, text)
})

t.test('quantization rows have the lists of the validation rows, crossed ones too', async (t) => {
  const { rows, sparse } = (await readQuantizationRows(await readBundle(models, 'films', '1')))!
  const layout = layoutOf(manifest)
  const width = sparse.length / rows
  t.equal(width, layout.sparse.length)
  const list = layout.byName.get('history_genres')!
  const [{ column, offset }] = layout.crossed as [(typeof layout.crossed)[0]]
  let filled = 0
  for (let row = 0; row < rows; row++)
    for (let place = 0; place < list.width; place++) {
      const isValue = sparse[row * width + list.column + place] !== list.padding
      t.equal(sparse[row * width + column + place] !== offset, isValue)
      filled += Number(isValue)
    }
  t.ok(filled > rows)
})

t.test('a version that is not worse than the one before is written', async (t) => {
  // Hardly another one.
  const next = { ...spec, training: { ...spec.training, epochs: 1, learning_rate: 1e-7 } }
  await writeFile(join(folder, 'next.json'), JSON.stringify(next))
  const { code, stdout } = await runCli(['train', join(folder, 'next.json'), '--models', models, '--from', 'films'])
  t.equal(code, 0)
  t.match(stdout, /films\/2 compared with films\/1: /)
  const compared = await runCli(['compare', 'films/1', 'films/2', '--models', models, '--data', file])
  t.match(compared, { code: 0, stdout: /films\/2 compared with films\/1: / })
})

t.test('it is calibrated, and given a precision, by the rows that its spec describes', async (t) => {
  const options = ['--models', models, '--data', file]
  const calibrated = await runCli(['calibrate', 'films/1', ...options, '--method', 'platt', '--force'])
  t.equal(calibrated.code, 0, calibrated.stderr)
  t.match((await readBundle(models, 'films', '3')).manifest.tasks, [{ calibration: { method: 'platt' } }])
  const quantized = await runCli(['quantize', 'films/1', ...options, '--precision', 'auto'])
  t.equal(quantized.code, 0, quantized.stderr)
  const next = await readBundle(models, 'films', '4')
  t.match(next.manifest, { precision: 'auto', crossed: manifest.crossed })
  const [before, after] = [
    await readQuantizationRows(await readBundle(models, 'films', '1')),
    await readQuantizationRows(next),
  ]
  t.same(after!.sparse, before!.sparse, 'the same rows as in training')
})

t.test('its candidates are put into a catalogue', async (t) => {
  const plans = join(folder, 'plans')
  const candidates = join(folder, 'films.csv')
  await writeFile(candidates, 'movie,genres\nm1,"[""war"",""drama""]"\nm2,[]\nm3,\n')
  const warmed = await runCli(['warm', join(models, 'films'), '--cache', plans, '--catalogue', candidates])
  t.equal(warmed.code, 0, warmed.stderr)
  t.match(warmed.stdout + warmed.stderr, /3 candidates/)
})
