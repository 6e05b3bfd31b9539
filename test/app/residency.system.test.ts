import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

/* A server that may keep few graphs open answers like one that keeps all. */

const names = ['ads-funnel', 'ads-funnel-aitm', 'ads-funnel-moe', 'ads-funnel-shared-bottom']
const models = await temporaryFolder(t)
for (const name of names)
  await cp(join(import.meta.dirname, '../../../models', name), join(models, name), { recursive: true })
/** More candidates than the main thread computes. */
const candidates = Array.from({ length: 300 }, (_, i) => ({ campaign: `c${i % 40}`, price: (i % 90) / 50 }))
const body = (model: string) =>
  JSON.stringify({ model, context: { country: 'DE', hour: 21, segment: 's17' }, candidates })

async function start(t: Parameters<typeof startProcess>[0], settings: Record<string, string> = {}) {
  const { port, stderr } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_WARM_UP_MS: '0', ...settings })
  const base = `http://127.0.0.1:${port}`
  return {
    stderr,
    async predict(model: string) {
      const headers = { 'content-type': 'application/json', 'x-deadline-ms': '10000' }
      const answer = await fetch(`${base}/predict`, { method: 'POST', headers, body: body(model) })
      return { status: answer.status, ...((await answer.json()) as { predictions: Record<string, number>[] }) }
    },
    async metric(name: string) {
      const text = await (await fetch(`${base}/metrics`)).text()
      return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
    },
    details: async (model: string) => (await fetch(`${base}/models/${model}`)).json() as Promise<any>,
    ready: async () => (await fetch(`${base}/readyz`)).status,
  }
}

t.test('graphs are opened for their requests', async (t) => {
  const [all, few] = await Promise.all([start(t), start(t, { MULTIGATE_RESIDENT_BYTES: '1' })])
  // A graph that opens is measured before others are closed for it.
  await until(async () => (await few.metric('multigate_open_graphs')) === 1)
  t.ok(Number.isNaN(await all.metric('multigate_open_graphs')), 'only where memory is limited')
  for (let round = 0; round < 3; round++)
    for (const name of names) {
      const [expected, actual] = await Promise.all([all.predict(name), few.predict(name)])
      t.equal(actual.status, 200)
      const differences = actual.predictions.flatMap((prediction, i) =>
        Object.entries(prediction).map(([task, value]) =>
          Math.abs(Number(value) - Number(expected.predictions[i]![task])),
        ),
      )
      t.ok(differences.length >= 600 && differences.every((difference) => !(difference > 1e-4)), name)
    }
  t.ok((await few.metric('multigate_graph_reopens_total')) >= 8)
  t.ok((await few.metric('multigate_graph_reopen_seconds_total')) > 0)
  t.ok((await few.metric('multigate_open_graphs')) <= 2)
  t.equal(await few.ready(), 200)
  const bytes = async (server: typeof few) => (await server.details(names[0]!)).memory.variants
  t.ok((await bytes(few)) < (await bytes(all)), 'a graph that is closed keeps only what the main thread computes with')
  t.equal(few.stderr(), '')
})

t.test('requests to all models together are answered', async (t) => {
  const few = await start(t, { MULTIGATE_RESIDENT_BYTES: '2000000', MULTIGATE_WORKERS: '2' })
  const answers = await Promise.all(Array.from({ length: 80 }, (_, i) => few.predict(names[(i * 7) % names.length]!)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
})
