import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { adsFunnelQuery } from '../../../support/infer-query.ts'
import { pythonWith } from '../../../support/python.ts'
import { startTestServer } from '../../../support/server.ts'

const python = await pythonWith(['tritonclient[http]'])
const models = join(import.meta.dirname, '../../../../../models')
const { fastify, predict, registry } = await startTestServer(t, {
  models,
  admin: true,
  // No deadline passes, however slow the machine is.
  clock: { ...systemClock, now: () => 0 },
})
const { model, release } = registry.acquire('ads-funnel')
release()

t.test("the documentation's examples are answered by the model that comes with the project", async (t) => {
  const document = (await fastify.inject('/docs/json')).json() as any
  const { requestBody, responses } = document.paths['/v2/models/{model}/infer'].post
  const requests = requestBody.content['application/json'].examples
  const answers = responses[200].content['application/json'].examples
  t.same(Object.keys(requests), Object.keys(answers))
  for (const [name, { value }] of Object.entries<any>(requests)) {
    const url = '/v2/models/ads-funnel/infer'
    const body = (await fastify.inject({ method: 'POST', url, payload: value })).json()
    const { outputs, ...expected } = answers[name].value
    t.match(body, expected, name)
    t.equal(body.outputs.length, outputs.length)
    for (const [i, { data, ...output }] of outputs.entries()) {
      t.match(body.outputs[i], output)
      // Processors differ in the last digits.
      for (const [row, value] of data.entries()) t.ok(Math.abs(body.outputs[i].data[row] / value - 1) < 1e-4)
    }
  }
})

t.test('tritonclient', { skip: typeof python === 'string' ? python : false }, async (t) => {
  if (typeof python === 'string') return
  const { tensors, features } = adsFunnelQuery(model.encoder)
  const expected = (await predict(tensors)).body.predictions
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const said = JSON.parse(
    await python.run('tritonclient/infer.py', [
      `127.0.0.1:${port}`,
      'ads-funnel',
      JSON.stringify(tensors),
      JSON.stringify(features),
    ]),
  )

  t.match(said, { live: true, ready: true, model_ready: true, version_ready: true, other_ready: false, id: 'query-1' })
  t.equal(said.server.name, 'multigate')
  t.same(
    said.metadata.outputs.map(({ name }: any) => name),
    ['ctr', 'cvr', 'ctcvr'],
  )
  t.equal(Object.keys(said.answers).length, 15)
  for (const [form, answer] of Object.entries<Record<string, number[]>>(said.answers)) {
    for (const [row, prediction] of expected.entries()) {
      for (const task of ['ctr', 'cvr', 'ctcvr'])
        t.ok(Math.abs(answer[task]![row]! / prediction[task] - 1) < 1e-5, `${form}: ${task} of row ${row}`)
    }
  }
  t.same(said.selected, ['ctcvr', 'ctr'])
  t.match(said.config, { name: 'ads-funnel', input: [{ name: 'sparse', data_type: 'TYPE_INT32', dims: [10] }, {}] })
  const [counted] = said.statistics
  // Fifteen answers, one of chosen outputs, the expected one, and those of two rows to the documentation's examples.
  t.match(counted, { version: '1', inference_count: 17 * 7 + 2 * 2, inference_stats: { success: { count: 19 } } })
  t.ok(counted.execution_count <= 19 && counted.batch_stats.length > 0)
  t.ok(said.all_statistics.length > 1)
  const own = ({ name }: any) => name === 'ads-funnel'
  t.match(said.index.filter(own), [{ version: '1', state: 'READY', reason: '' }])
  const [stillReady, index, server] = said.unloaded
  // Others still answer.
  t.same([stillReady, server, said.loaded], [false, true, true])
  t.match(index.filter(own), [{ version: '1', state: /^UN(?:LOADING|AVAILABLE)$/, reason: 'it was unloaded' }])

  const messages: [string, RegExp][] = [
    ['400', /^input "sparse"\[0, 0\] is not an id of country: must be from 0 to 24; .+ \(and \d+ more\)$/],
    ['404', /^There is no model called "nothing"; the folder has ads-funnel, /],
    ['404', /^There is no model called "nothing"; the folder has ads-funnel, /],
    ['404', /^There is no model called "nothing"; the folder has ads-funnel, /],
    ['400', /^\/parameters has "config"/],
    ['400', /^\/parameters\/sequence_id is not possible/],
    ['400', /^output "ctr" can't be had by classification$/],
  ]
  t.match(said.errors, messages)
  t.equal(said.errors.length, messages.length)
})
