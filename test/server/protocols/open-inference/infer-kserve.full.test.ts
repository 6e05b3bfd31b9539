import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { adsFunnelQuery } from '../../../support/infer-query.ts'
import { pythonWith } from '../../../support/python.ts'
import { startTestServer } from '../../../support/server.ts'

// The packages are installed at the first run, which takes a while on a busy machine.

// Packages that KServe's client imports; the package itself asks for a server and Kubernetes' client beside them.
const imported = [
  'httpx<1',
  'orjson<4',
  'numpy<3',
  'pandas<3',
  'protobuf<7',
  'grpcio<2',
  'psutil',
  'pyyaml',
  'fastapi<1',
]
const python = await pythonWith([...imported, 'cloudevents<2'], { alone: ['kserve==0.21.0'] })

t.test("KServe's client", { skip: typeof python === 'string' ? python : false }, async (t) => {
  if (typeof python === 'string') return
  const models = join(import.meta.dirname, '../../../../../models')
  const { fastify, predict, registry } = await startTestServer(t, { models, limits: { maxRequestRows: 1000 } })
  const { model, release } = registry.acquire('ads-funnel')
  release()
  const { tensors, features } = adsFunnelQuery(model.encoder)
  const expected = (await predict(tensors)).body.predictions
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const args = [url, 'ads-funnel', JSON.stringify(tensors), JSON.stringify(features)]
  const said = JSON.parse(await python.run('kserve/infer.py', args))

  t.match(said, { live: true, ready: true, model_ready: true, other_ready: false, id: 'query-1' })
  t.equal(said.model, 'ads-funnel')
  t.same(said.selected, [
    ['ctcvr', [7, 1]],
    ['ctr', [7, 1]],
  ])
  t.equal(said.encoding, 'gzip')
  t.equal(said.answers.compressed.ctr.length, 700)
  t.equal(Object.keys(said.answers).length, 6)
  for (const [form, answer] of Object.entries<Record<string, number[]>>(said.answers)) {
    t.same(Object.keys(answer), ['ctr', 'cvr', 'ctcvr'])
    for (const [row, prediction] of expected.entries()) {
      for (const task of ['ctr', 'cvr', 'ctcvr'])
        t.ok(Math.abs(answer[task]![row]! / prediction[task] - 1) < 1e-5, `${form}: ${task} of row ${row}`)
    }
  }
  // It reads an error's text where the type is bare `application/json`.
  const [shape, unknown] = said.errors
  t.match(shape, [400, /^input "sparse" must have the shape \[rows, 10\]/])
  t.match(unknown, [404, /^There is no model called "nothing"/])
})
