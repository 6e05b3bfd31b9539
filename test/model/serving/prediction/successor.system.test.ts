import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { until } from '../../../support/until.ts'

/* A version that takes the place of another one is warmed by what clients asked that one. */

const models = join(import.meta.dirname, '../../../../../models')
const cheap = { a: 0.1, b: 1, joined: { a: 0.1, b: 1 } }
const dear = { a: 9, b: 9, joined: { a: 9, b: 9 } }
const costs: PlanCosts = { full: dear, shared_context: dear, candidate_encoder: dear, cached: cheap, lookUp: 0 }

t.test('its candidates are cached before its first request', async (t) => {
  const pool = await createEnginePool({ engine: 'onnx', workers: 2 })
  t.teardown(() => pool.close())
  const cache = await temporaryFolder(t)
  const options = {
    ...{ pool, clock: systemClock, maxBatchRows: 256, maxDelayMs: 0, maxQueueRows: 10_000, maxRequestRows: 1000 },
    compiler: { cache, candidateBytes: 1 << 22, costs, now: Date.now },
  }
  const bundle = await readBundle(models, 'ads-funnel', '1')
  const former = await loadModel(bundle, options)
  const candidates = Array.from({ length: 20 }, (_, i) => ({ campaign: `c${i % 40}`, price: i / 10 }))
  const ask = async (model: typeof former) => {
    const rows = { form: 'rows' as const, context: { country: 'DE', hour: 21, segment: 's17' }, candidates }
    const { table } = model.predict({ rows, deadline: systemClock.now() + 60_000 })
    return (await table).tasks.flatMap(([, values]) => [...values])
  }
  const expected = await ask(former)
  await until(() => former.recentRows().length > 0)
  const next = await loadModel(bundle, options, former)
  const before = (await next.graphStats())!
  t.ok(before.cache.entries >= candidates.length, `${before.cache.entries} cached candidates`)
  t.match(before, { rows: { full: 0, shared_context: 0, cached: 0, exported: 0 }, cache: { hits: 0, misses: 0 } })
  const answers = await ask(next)
  t.ok(answers.every((value, i) => Math.abs(value - expected[i]!) < 1e-5))
  const { cache: after } = (await next.graphStats())!
  // Each worker has its own cache, and half of the rows go to either.
  t.ok(after.hits >= candidates.length / 2, `${after.hits} hits`)
  t.equal(next.stats().requests, 0)
  await Promise.all([former.close(), next.close()])
})
