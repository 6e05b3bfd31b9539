import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parseManifest } from '../../../../src/model/serving/bundle/manifest.ts'
import { servedOf } from '../../../../src/model/serving/prediction/served.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { startTestServer } from '../../../support/server.ts'

t.test('golden rows are no traffic: neither they nor their unknown values are counted', async (t) => {
  const models = await temporaryFolder(t)
  // One of its golden rows has a country that is not in the vocabulary.
  await writeTestBundle(models)
  const { metrics, predict } = await startTestServer(t, { models })
  const unknownValues = async () => (await metrics.registry.metrics()).match(/^multigate_unknown_values_total\{.*$/gm)
  t.equal(await unknownValues(), null)
  t.notMatch(
    await metrics.registry.metrics(),
    /^multigate_(batch|infer|queue_duration)[a-z_]*\{.*model="ads".*\} (?!0$)/m,
  )
  await predict({ candidates: [{ country: 'XX', hour: 1, campaign: 'c', price: 1 }] })
  t.same(await unknownValues(), ['multigate_unknown_values_total{model="ads",version="1",feature="country"} 1'])
})

t.test('what is served must be what the golden rows say, not the graph alone', async (t) => {
  const models = await temporaryFolder(t)
  const { golden, tasks, derived } = await writeTestBundle(models)
  const served = servedOf({ tasks, derived }, golden!.probabilities)
  t.equal(served[0]!.length, 3)
  const load = async (manifest: Partial<Manifest>) => {
    const folder = await temporaryFolder(t)
    await writeTestBundle(folder, { manifest: { golden: { ...golden!, served }, ...manifest } })
    const { registry, events } = await startTestServer(t, { models: folder })
    return {
      live: registry.live().length,
      message: events.flatMap((event) => ('error' in event ? [String(event.error)] : [])).join(),
    }
  }
  t.same(await load({}), { live: 1, message: '' })
  const absurd = tasks.with(1, { ...tasks[1]!, calibration: { method: 'platt', a: 0.9, b: 50 } })
  const wrong = await load({ tasks: absurd })
  t.equal(wrong.live, 0)
  t.match(
    wrong.message,
    /ads\/1\/manifest\.json: golden row 0 differs: cvr should be 0\.\d+ as served, but is (1|0\.9+)/,
  )
  const other = await load({ derived: [{ name: 'ctcvr', product: ['ctr', 'ctr'] }] })
  t.equal(other.live, 0, 'a composition too')
  t.match(
    other.message,
    /ctcvr should be .*its factors are right, so its product, its calibration or its place in \/derived/,
  )
  const more = [...derived, { name: 'clicks', product: ['ctr', 'ctr'] }]
  t.same(await load({ derived: more }), { live: 1, message: '' }, 'a task may be derived since')
  t.equal((await load({ tasks: absurd, golden: golden! })).live, 1, 'a manifest without them is served as before')
})

t.test('served answers are one per task and derived task, for each row', async (t) => {
  const models = await temporaryFolder(t)
  const { golden } = await writeTestBundle(models)
  const text = await readFile(join(models, 'ads/1/manifest.json'), 'utf8')
  for (const [served, problem] of [
    [[[0.1, 0.2, 0.3]], /\/golden has 2 rows and 1 served answers/],
    [
      golden!.probabilities.map(([ctr]) => [ctr!]),
      /^m: \/golden\/served\/0 has 1 values for 3 tasks: correct it, or remove \/golden\/served \(and 1 more place\)$/,
    ],
  ] as const) {
    const manifest = JSON.parse(text)
    manifest.golden.served = served
    t.throws(() => parseManifest(JSON.stringify(manifest), 'm'), { message: problem })
  }
})

t.test('the models that come with the project say what they serve', async (t) => {
  const models = join(import.meta.dirname, '../../../../../models')
  const names = await readdir(models)
  t.equal(names.filter((name) => !name.includes('.')).length, 6)
  for (const name of names.filter((name) => !name.includes('.'))) {
    const text = await readFile(join(models, name, '1/manifest.json'), 'utf8')
    const { golden, tasks, derived } = parseManifest(text, name)
    const expected = servedOf({ tasks, derived }, golden!.probabilities).flat()
    t.equal(golden!.served!.flat().length, expected.length, name)
    t.ok(
      golden!.served!.flat().every((value, i) => Math.abs(value - expected[i]!) < 1e-9),
      name,
    )
  }
})
