import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../fixtures/bundle.ts'
import { startTestServer } from '../../fixtures/server.ts'

t.test('golden rows are no traffic: neither they nor their unknown values are counted', async (t) => {
  const models = await temporaryFolder(t)
  // One of its golden rows has a country that is not in the vocabulary.
  await writeTestBundle(models)
  const { metrics, predict } = await startTestServer(t, { models })
  const unknownValues = async () => (await metrics.registry.metrics()).match(/^multigate_unknown_values_total\{.*$/gm)
  t.equal(await unknownValues(), null)
  t.notMatch(await metrics.registry.metrics(), /^multigate_(batch|infer|queue_duration)[a-z_]*\{model="ads"/m)
  await predict({ candidates: [{ country: 'XX', hour: 1, campaign: 'c', price: 1 }] })
  t.same(await unknownValues(), ['multigate_unknown_values_total{model="ads",version="1",feature="country"} 1'])
})
