import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { npmPackages } from '../../support/npm.ts'
import { pythonWith } from '../../support/python.ts'
import { startTestServer } from '../../support/server.ts'

// The packages are installed at the first run, which takes a while on a busy machine.

const models = await temporaryFolder(t)
await writeTestBundle(models, { name: 'ads-funnel' })
const { fastify } = await startTestServer(t, { models, admin: true })
const document = (await fastify.inject('/docs/json')).json() as any

const spectral = await npmPackages({ '@stoplight/spectral-cli': '^6.16.0' })
const python = await pythonWith(['schemathesis>=4.32,<5'])
/** Who runs the server is its contact. */
const ruleset = { extends: ['spectral:oas'], rules: { 'info-contact': 'off' } }

/** Findings of Spectral in a document, warnings too. */
async function lint(folder: string, source: object): Promise<string[]> {
  const own = await temporaryFolder(t)
  const [file, rules] = [join(own, 'openapi.json'), join(own, 'rules.json')]
  await writeFile(file, JSON.stringify(source))
  await writeFile(rules, JSON.stringify(ruleset))
  const program = join(folder, 'node_modules/@stoplight/spectral-cli/dist/index.js')
  const options = ['lint', file, '--ruleset', rules, '--format', 'json', '--quiet', '--fail-severity', 'error']
  // It ends with 1 where it finds errors.
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...options], {
    maxBuffer: 2 ** 26,
  }).catch((error) => (error.code === 1 ? error : Promise.reject(error)))
  return JSON.parse(stdout).map(
    ({ code, message, path }: { code: string; message: string; path: string[] }) =>
      `${code}: ${message} ${path.join('.')}`,
  )
}

t.test(
  "Spectral's rules find nothing in the document",
  { skip: typeof spectral !== 'string' && spectral.reason },
  async (t) => {
    if (typeof spectral !== 'string') return
    const damaged = structuredClone(document)
    damaged.paths['/predict'].post.responses[200].content['application/json'].examples.rows.value = 7
    const [found, ofDamaged] = await Promise.all([lint(spectral, document), lint(spectral, damaged)])
    t.same(found, [])
    t.match(ofDamaged, [/^oas3-valid-media-example/], 'it does look')
  },
)

const checks = ['status_code_conformance', 'content_type_conformance', 'response_schema_conformance']

t.test(
  'Schemathesis is answered with the documented statuses, types and schemas, in streams too',
  { skip: typeof python === 'string' ? python : false },
  async (t) => {
    if (typeof python === 'string') return
    await fastify.listen({ host: '127.0.0.1', port: 0 })
    const url = `http://127.0.0.1:${(fastify.server.address() as AddressInfo).port}`
    const file = join(await temporaryFolder(t), 'openapi.json')
    await writeFile(file, JSON.stringify(document))
    const options = ['--seed', '1', '--max-examples', '5', '--phases', 'examples,coverage', '--no-color']
    const which = ['--include-method', 'GET', '--checks', checks.join()]
    const report = await python.run('schemathesis/run.py', [file, url, ...which, ...options])
    const [, generated, passed] = /(\d+) generated, (\d+) passed/.exec(report) ?? []
    t.ok(Number(generated) > 150, report)
    t.equal(passed, generated)
  },
)
