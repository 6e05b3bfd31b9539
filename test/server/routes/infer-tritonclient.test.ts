import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { pythonWith } from '../../fixtures/python.ts'
import { startTestServer } from '../../fixtures/server.ts'

const python = await pythonWith(['tritonclient[http]'])
const models = join(import.meta.dirname, '../../../../models')
const { fastify, predict, registry } = await startTestServer(t, { models })
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
  const { rows, sparse, dense } = model.encoder.rows(
    { country: 'DE', hour: 21, segment: 's17' },
    Array.from({ length: 7 }, (_, i) => ({ campaign: `c${i}`, price: i / 4 })),
    { maxRows: 7, partial: false },
  )
  const matrix = (values: Int32Array | Float32Array) => {
    const width = values.length / rows
    return Array.from({ length: rows }, (_, row) => [...values.subarray(row * width, (row + 1) * width)])
  }
  const tensors = { sparse: matrix(sparse), dense: matrix(dense) }
  const expected = (await predict(tensors)).body.predictions
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const said = JSON.parse(
    await python.run('tritonclient/infer.py', [`127.0.0.1:${port}`, 'ads-funnel', JSON.stringify(tensors)]),
  )

  t.match(said, { live: true, ready: true, model_ready: true, version_ready: true, other_ready: false, id: 'query-1' })
  t.equal(said.server.name, 'multigate')
  t.same(
    said.metadata.outputs.map(({ name }: any) => name),
    ['ctr', 'cvr', 'ctcvr'],
  )
  t.equal(Object.keys(said.answers).length, 11)
  for (const [form, answer] of Object.entries<Record<string, number[]>>(said.answers)) {
    for (const [row, prediction] of expected.entries()) {
      for (const task of ['ctr', 'cvr', 'ctcvr'])
        t.ok(Math.abs(answer[task]![row]! / prediction[task] - 1) < 1e-5, `${form}: ${task} of row ${row}`)
    }
  }
  const [outside, unknown, metadata] = said.errors
  t.match(outside, ['400', /^input "sparse"\[0, 0\] is not an id of country: must be from 0 to 24 \(and \d+ more\)$/])
  t.match(unknown, ['404', 'There is no model called "nothing"'])
  t.match(metadata, ['404', 'There is no model called "nothing"'])
})
