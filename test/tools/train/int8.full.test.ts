// The cost of int8 on rows that neither trained the models that come with the project nor set its scales.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareInThread } from '../../../src/model/graph/compile/prepare-in-thread.ts'
import { largestWeight } from '../../../src/model/graph/int8/largest-weight.ts'
import { readQuantizationRows } from '../../../src/model/serving/bundle/quantization.ts'
import type { Bundle } from '../../../src/model/serving/bundle/read.ts'
import { describeGraph, outputsOf, savedGraph } from '../../../src/model/serving/prediction/load-graph.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { formatVerdict, judgePrecision } from '../../../src/tools/evaluate/judge-precision.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs } from '../../support/tiny.ts'

const models = join(specs, '../../../../models')
const data = join(specs, '../../../../data/census-income.test.gz')

/** Why servers on this machine would serve a version in float32; undefined where they serve int8. */
async function refusal(bundle: Bundle, cache: string): Promise<string | undefined> {
  const source = savedGraph(bundle, outputsOf(bundle.manifest))
  const described = describeGraph(bundle.manifest, await readQuantizationRows(bundle))
  const { plan } = await prepareInThread({ ...described, precision: 'int8', source, cache, now: Date.now() })
  return plan?.precisionProblem
}

/** `refused`: int8 costs the models so much on their own rows, too, that no processor serves it. */
async function judgeOn(t: Test, specName: string, names: string[], refused = false) {
  const { file, spec } = await readSpec(specName, specs)
  const dataset = await readDataset({ file, spec }, readingsOf(spec.fields))
  const cache = await temporaryFolder(t)
  for (const name of names) {
    const bundle = await readBundle(models, name, '1')
    const verdict = await judgePrecision('int8', {
      ...{ bundle, loaded: { file, spec }, dataset, rows: dataset.parts.test },
      cache,
      now: Date.now,
    })
    const outcome = `${name}: ${verdict.reasons.join('; ') || 'within the limits'}`
    const reason = await refusal(bundle, cache)
    if (reason === undefined) t.ok(verdict.passed, outcome)
    else {
      const message = `${name} is refused by its own check, ${reason}: only weights of 7 bits may be too coarse`
      t.ok(refused || largestWeight === 64, message)
      t.comment(outcome)
    }
    if (refused) t.notOk(verdict.passed, `${name} would lose as much on new rows`)
    t.equal(verdict.rows, dataset.parts.test.length)
    for (const { task, auc_loss, logit_max } of verdict.tasks) {
      t.type(auc_loss, 'number', `${name}: there are labels enough to judge ${task}`)
      t.ok(logit_max > 0, `${name}: int8 is not float32`)
    }
    const last = verdict.passed ? /\nwithin the limits \(in brackets\) on \d+ rows$/ : /\nexceeds the limits: /
    t.match(formatVerdict('int8', verdict), /^int8 +AUC loss /)
    t.match(formatVerdict('int8', verdict), last)
  }
}

t.test('synthetic impressions', async (t) => {
  await judgeOn(t, 'ads-funnel', ['ads-funnel', 'ads-funnel-shared-bottom', 'ads-funnel-aitm'])
})

t.test('the census', { skip: !existsSync(data) && 'no data: npm run data -- census-income' }, async (t) => {
  await judgeOn(t, 'census-income', ['census-income'], true)
})

t.test('refuses a version without quantization rows', async (t) => {
  const { file, spec } = await readSpec('ads-funnel', specs)
  const bundle = await readBundle(models, 'ads-funnel', '1')
  const { quantization: _, ...manifest } = bundle.manifest
  const dataset = await readDataset({ file, spec }, readingsOf(spec.fields))
  await t.rejects(
    judgePrecision('int8', {
      ...{ bundle: { ...bundle, manifest }, loaded: { file, spec }, dataset, rows: dataset.parts.test },
      cache: undefined,
      now: () => 0,
    }),
    {
      code: 'INVALID_BUNDLE',
      message: /ads-funnel\/1 has no quantization rows to set the scales of int8$/,
    },
  )
})
