// The models that come with the project, judged on impressions that were neither trained on nor calibrated with.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { evaluateToJson } from '../../support/evaluate.ts'
import { startTestServer } from '../../support/server.ts'
import { specs } from '../../support/tiny.ts'

const models = join(specs, '../../../../models')
const names = ['ads-funnel', 'ads-funnel-moe', 'ads-funnel-shared-bottom', 'ads-funnel-aitm']

/** A spec of `rows` impressions after the 1,500,000 that were trained on or calibrated with. */
async function freshRows(folder: string, rows: number): Promise<string> {
  const data = { generator: 'ads-funnel', rows, skip: 1_500_000, seed: 20, click_rate: 0.025, conversion_rate: 0.15 }
  const file = join(folder, 'fresh.yaml')
  await writeFile(
    file,
    JSON.stringify({ extends: join(specs, 'ads-funnel-fresh.yaml'), data: { ...data, relation: 0.6 } }),
  )
  return file
}

for (const name of names)
  t.test(`${name} is calibrated on a million rows, and beats logistic regression`, async (t) => {
    const data = await freshRows(await temporaryFolder(t), 1_000_000)
    const { tasks } = await evaluateToJson({ data, target: name, models })
    for (const { name, metrics } of tasks) {
      const { value, low, high } = metrics.calibration_ratio
      t.ok(value! >= 0.95 && value! <= 1.05, `${name}: ${value} (${low} … ${high})`)
    }
    const [ctr, cvr] = tasks.map(({ baselines }) => baselines.logistic!)
    t.same(ctr!.crossed?.[0], 'segment × category', 'which has the crossed fields too')
    t.match(ctr!.differences, { auc: { verdict: 'better' }, normalised_entropy: { verdict: 'better' } })
    for (const { difference, verdict } of [cvr!.differences!.auc, cvr!.differences!.normalised_entropy])
      t.not(verdict, 'worse', JSON.stringify(difference))
  })

t.test('ads-history is calibrated on 300,000 rows, and beats logistic regression in both tasks', async (t) => {
  const file = join(await temporaryFolder(t), 'fresh.yaml')
  const data = { generator: 'ads-history', rows: 300_000, skip: 2_000_000, seed: 20, click_rate: 0.05 }
  await writeFile(file, JSON.stringify({ extends: join(specs, 'ads-history-fresh.yaml'), data }))
  const { tasks } = await evaluateToJson({ data: file, target: 'ads-history', models })
  for (const { name, metrics, baselines } of tasks) {
    const { value, low, high } = metrics.calibration_ratio
    t.ok(value! >= 0.95 && value! <= 1.05, `${name}: ${value} (${low} … ${high})`)
    t.same(baselines.logistic!.crossed?.[0], 'segment × campaign')
    t.match(baselines.logistic!.differences, { auc: { verdict: 'better' }, normalised_entropy: { verdict: 'better' } })
  }
})

t.test('through HTTP too', async (t) => {
  const data = await freshRows(await temporaryFolder(t), 300_000)
  const server = await startTestServer(t, { models })
  const url = await server.fastify.listen({ host: '127.0.0.1', port: 0 })
  const served = await evaluateToJson({ data, target: 'ads-funnel', service: { url }, models })
  const here = await evaluateToJson({ data, target: 'ads-funnel', models })
  for (const [i, { name, metrics }] of served.tasks.entries()) {
    const { value, low, high } = metrics.calibration_ratio
    t.ok(value! >= 0.95 && value! <= 1.05, `${name}: ${value} (${low} … ${high})`)
    t.ok(Math.abs(value! - here.tasks[i]!.metrics.calibration_ratio.value!) < 1e-5, 'as in this process')
  }
})
