import { mkdir, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../fixtures/bundle.ts'
import { pythonWith } from '../fixtures/python.ts'
import { startTestServer } from '../fixtures/server.ts'

const python = await pythonWith(['openapi-python-client'])
const skip = typeof python === 'string' ? python : false

t.test('openapi-python-client makes a client of /docs/json that works', { skip }, async (t) => {
  if (typeof python === 'string') return
  const { fastify, predict } = await startTestServer(t, { models: join(import.meta.dirname, '../../../models') })
  const document = (await fastify.inject('/docs/json')).json() as any
  const folder = await temporaryFolder(t)
  const client = join(folder, 'multigate_client')
  await mkdir(client)
  const path = join(folder, 'openapi.json')
  await writeFile(path, JSON.stringify(document))
  const said = await python.runModule('openapi_python_client', [
    ...['generate', '--path', path, '--output-path', client, '--meta', 'none', '--overwrite'],
  ])
  t.notMatch(said, /warning|unable|skipping|error/i, 'nothing is left out')

  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const asked = JSON.parse(await python.run('openapi-python-client/ask.py', [url], [folder]))
  const { value } = document.paths['/predict'].post.requestBody.content['application/json'].examples.rows
  const { predictions } = (await predict(value)).body
  t.same(asked.tasks, ['ctr', 'cvr', 'ctcvr'])
  t.same(asked.rows, predictions)
  t.same(asked.columns, {
    id: ['ad-1', 'ad-2'],
    ...Object.fromEntries(['ctr', 'cvr', 'ctcvr'].map((task) => [task, predictions.map((row: any) => row[task])])),
  })
  t.match(asked.best, { id: 'ad-2', index: 1 })
  t.ok(asked.best.score > 0 && asked.best.raw > 0 && asked.experts > 1)
  t.same(asked.problem, [400, 'INVALID_REQUEST', ['/candidates/1/price']])
  t.same(asked.unknown, [404, 'MODEL_NOT_FOUND'])
})
