import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const server = await startTestServer(t, { models: join(root, 'models') })

t.test("the README's first example is a real request with its real answer", async (t) => {
  const example = /<!-- example -->([\s\S]*?)<!-- \/example -->/.exec(readme)?.[1] ?? ''
  const request = /-d '([\s\S]*?)'\n```/.exec(example)?.[1] ?? ''
  const expected = JSON.parse(/```json\n([\s\S]*?)```/.exec(example)?.[1] ?? '')
  const { status, body } = await server.predict(request)
  t.equal(status, 200)
  t.same(Object.keys(body), Object.keys(expected))
  t.same([body.model, body.version], [expected.model, expected.version])
  t.equal(body.predictions.length, expected.predictions.length)
  for (const [i, prediction] of expected.predictions.entries()) {
    t.same(Object.keys(body.predictions[i]), Object.keys(prediction))
    t.equal(body.predictions[i].id, prediction.id)
    // Processors differ in the last digits.
    for (const task of ['ctr', 'cvr', 'ctcvr']) t.ok(Math.abs(body.predictions[i][task] / prediction[task] - 1) < 1e-4)
  }
})

t.test('every model that comes with the project is served', async (t) => {
  t.same(
    server.registry.live().map(({ name, version }) => `${name}/${version}`),
    [
      'ads-funnel/1',
      'ads-funnel-aitm/1',
      'ads-funnel-moe/1',
      'ads-funnel-shared-bottom/1',
      'ads-history/1',
      'census-income/1',
    ],
  )
})
