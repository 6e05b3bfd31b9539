// The claims of "From a first model to a good one" in docs/training.md, for one seed.
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { train } from '../../../src/tools/train/train.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs } from '../../support/tiny.ts'

t.setTimeout(600_000)

t.test('crossed fields, a wide part and Adagrad beat logistic regression with the same crossed fields', async (t) => {
  const models = await temporaryFolder(t)
  const loaded = await readSpec('ads-funnel', specs)
  loaded.spec.publish = { beats: 'logistic' }
  const { report, folder } = await train(loaded, {
    ...{ models, threads: 1, from: undefined, run: undefined, resume: false, force: false, cache: undefined },
    ...{ command: 'multigate train', multigateVersion: '0.0.0', now: Date.now, log() {} },
    signal: new AbortController().signal,
    observer: { step() {}, epoch() {} },
  })
  t.equal(folder, join(models, 'ads-funnel', '1'))
  const [ctr, cvr] = report.tasks.map(({ baselines }) => baselines.logistic!)
  t.match(ctr!.differences, { auc: { verdict: 'better' }, normalised_entropy: { verdict: 'better' } })
  t.not(cvr!.differences!.auc.verdict, 'worse')
  t.same(ctr!.crossed?.[0], 'segment × category')
  const { quality } = (await readBundle(models, 'ads-funnel', '1')).manifest
  t.notOk(quality!.ctr!.weaknesses)
})
