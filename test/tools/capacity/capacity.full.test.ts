import t from 'tap'
import { adsById, adsByIdFeatures, importAdsById } from '../../support/ads-by-id.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { spawnCli } from '../../support/cli.ts'

t.test('a model is measured by requests that have keys alone', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { name: 'ads-by-id', manifest: { features: adsByIdFeatures, entities: adsById } })
  await importAdsById(models)
  const args = ['capacity', '--models', models, '--seconds', '0.2', '--candidates', '20', '--rate', '10']
  // Any machine, however busy, keeps this bound.
  const measured = await spawnCli([...args, '--model', 'ads-by-id', '--p99', '60000', '--by-id'], {
    MULTIGATE_CACHE: t.testdir(),
  })
  t.equal(measured.code, 0, measured.stderr)
  t.match(measured.stdout, /\n- Requests are keys as JSON/)
})
