import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { pythonWith } from '../support/python.ts'
import { startTestServer } from '../support/server.ts'

// The packages are installed at the first run, which takes a while on a busy machine.

const python = await pythonWith(['schemathesis>=4.32,<5'])
const document = join(import.meta.dirname, '../../../test/fixtures/open-inference.yaml')
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'allow_header_conformance',
]

t.test(
  'hundreds of requests, proper and not, are answered as the protocol says',
  { skip: typeof python === 'string' ? python : false },
  async (t) => {
    if (typeof python === 'string') return
    const models = await temporaryFolder(t)
    await writeTestBundle(models)
    const { fastify, metrics } = await startTestServer(t, { models })
    await fastify.listen({ host: '127.0.0.1', port: 0 })
    const { port } = fastify.server.address() as AddressInfo
    const options = ['--seed', '1', '--max-examples', '30', '--phases', 'examples,coverage,fuzzing', '--no-color']
    const url = `http://127.0.0.1:${port}`
    const report = await python.run('schemathesis/run.py', [document, url, '--checks', checks.join(), ...options])
    const [, generated, passed] = /(\d+) generated, (\d+) passed/.exec(report) ?? []
    t.ok(Number(generated) > 200, report)
    t.equal(passed, generated)
    t.match(report, /Tested: 9/)
    const text = await metrics.registry.metrics()
    const outcome = (labels: string) =>
      Number(text.split(`multigate_requests_total{${labels}} `)[1]?.split('\n')[0] ?? 0)
    t.ok(outcome('model="ads",version="1",outcome="ok"') >= 4, 'the examples, with and without a version, are answered')
    t.ok(outcome('model="ads",version="1",outcome="invalid_request"') > 20, 'requests get as far as the model')
    t.ok(outcome('model="",version="",outcome="invalid_request"') > 20)
  },
)
