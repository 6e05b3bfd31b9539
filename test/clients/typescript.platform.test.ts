import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import openapiTS, { astToString } from 'openapi-typescript'
import t from 'tap'
import { startTestServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../../..')
const { fastify, predict } = await startTestServer(t, { models: join(root, 'models') })
const document = (await fastify.inject('/docs/json')).json() as any
const types = astToString(await openapiTS(document))

const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  target: 'es2023',
  lib: ['es2023', 'dom'],
  module: 'nodenext',
  types: ['node'],
}

const program = `
import createClient from 'openapi-fetch'
import type { components, paths } from './multigate.js'

const client = createClient<paths>({ baseUrl: process.argv[2]! })
const context: components['schemas']['Context'] = { country: 'DE', hour: 21, segment: 's17' }
const candidates: components['schemas']['Candidate'][] = [
  { id: 'ad-1', campaign: 'c9', price: 1.25, bid: 0.8 },
  { id: 'ad-2', campaign: 'c4', price: 0.4, bid: 1.1 },
]
const answered = await client.POST('/predict', {
  body: { context, candidates, options: { rank: { by: 'ecpm' }, raw: true, gates: true } },
  params: { header: { 'x-deadline-ms': 600_000 } },
})
if (answered.error) throw new Error(answered.error.detail)
const { predictions } = answered.data
if (!Array.isArray(predictions)) throw new Error('not by row')
const rows = predictions.map((row) => {
  if (row === null) throw new Error('a row is missing')
  const ctr: number | undefined = row.ctr
  const id: string | number | undefined = row.id
  const raw: number | undefined = row.raw?.ctr
  const gate: number[] | undefined = row.gates?.ctr
  return { id, ctr, raw, experts: gate?.length, score: row.score, index: row.index }
})
const byColumn = await client.POST('/predict', {
  body: { context, candidates: { id: ['ad-1'], campaign: ['c9'], price: [1.25] }, tasks: ['ctr'] },
})
if (!byColumn.data || Array.isArray(byColumn.data.predictions)) throw new Error('not by column')
const column: (number | null)[] | undefined = byColumn.data.predictions.ctr

const refused = await client.POST('/predict', { body: { context, candidates: [{ campaign: 'c9', price: 'cheap' }] } })
const problem = refused.error
if (!problem) throw new Error('not refused')
const code: 'INVALID_REQUEST' | 'QUEUE_FULL' | undefined =
  problem.code === 'INVALID_REQUEST' || problem.code === 'QUEUE_FULL' ? problem.code : undefined
const stage: 'queue' | 'compute' | undefined = problem.stage
const missing = await client.GET('/models/{model}', { params: { path: { model: 'nothing' } } })
const { data: models } = await client.GET('/models')
const states = models?.models.map(({ name, versions }) => [name, versions[0]?.state])
const { data: details } = await client.GET('/models/{model}', { params: { path: { model: 'ads-funnel' } } })
const sides: ('context' | 'candidate' | 'cross')[] | undefined = details?.fields?.map(({ side }) => side)
console.log(JSON.stringify({
  rows, column, code, stage, paths: problem.errors?.map(({ path }) => path), missing: missing.error?.code, states, sides,
}))
`

/** Lists, vectors and weights in each form; it is never run. */
const lists = `
import type { components } from './multigate.js'

type Schemas = components['schemas']
const context = { history: ['a', 'b'], tags: { values: ['x', 3], weights: [1, 0.5] }, image: [0.5, 1] }
export const rows: Schemas['RowsRequest'] = { context, candidates: [{ id: 'ad-1', ...context }] }
export const columns: Schemas['ColumnsRequest'] = {
  candidates: { campaign: ['c9'], tags: { values: ['x', 'y'], offsets: [0, 2], weights: [1, 1] }, image: [[0.5, 1]] },
}
export const served: Schemas['ServingRequest'][] = [
  { instances: [{ ...context, image: [1] }] },
  { context, inputs: { tags: { values: ['x'], offsets: [0, 1] }, history: [['a'], []] } },
]
export const cut = (prediction: Schemas['Prediction'], columns: Schemas['PredictionColumns']) =>
  [prediction.cut?.[0]?.length, columns.cut?.[0]?.[0]?.length]
`

/** Each line after a comment must not compile; it is never run. */
const wrong = `
import createClient from 'openapi-fetch'
import type { components, paths } from './multigate.js'

const client = createClient<paths>({ baseUrl: 'http://127.0.0.1:3000' })
const version: components['schemas']['VersionStatus'] = { version: '1', state: 'ready' }
export const calls = [
  // @ts-expect-error a column is an array
  () => client.POST('/predict', { body: { candidates: { campaign: 'c9' } } }),
  // @ts-expect-error a value is no boolean
  () => client.POST('/predict', { body: { context: { country: true } } }),
  // @ts-expect-error nor a list of lists
  () => client.POST('/predict', { body: { context: { tags: [['x']] } } }),
  // @ts-expect-error a weight is a number
  () => client.POST('/predict', { body: { context: { tags: { values: ['x'], weights: ['1'] } } } }),
  // @ts-expect-error columns of lists have offsets
  () => client.POST('/predict', { body: { candidates: { tags: { values: ['x'] } } } }),
  // @ts-expect-error the path has a parameter
  () => client.GET('/models/{model}', {}),
  // @ts-expect-error there is no such path
  () => client.GET('/model'),
  // @ts-expect-error nothing is deleted
  () => client.DELETE('/models'),
  // @ts-expect-error a version has no such state
  () => version.state === 'sleeping',
  async () => {
    const { data, error } = await client.POST('/predict', { body: {} })
    // @ts-expect-error a problem has no such code
    const teapot = error?.code === 'TEAPOT'
    // @ts-expect-error it may be an error
    return [data.predictions, teapot]
  },
]
// @ts-expect-error an option is misspelt
export const options: components['schemas']['PredictOptions'] = { deadline: 7 }
`

t.test('openapi-typescript and openapi-fetch make a client of /docs/json that is typed, and works', async (t) => {
  // Within the project, whose packages it imports.
  const folder = t.testdir({
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions, files: ['program.ts', 'lists.ts', 'wrong.ts'] }),
    'multigate.ts': types,
    'program.ts': program,
    'lists.ts': lists,
    'wrong.ts': wrong,
  })
  const tsc = await run([join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
  t.same(tsc, { status: 0, output: '' })

  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const { status, output } = await run([join(folder, 'program.js'), `http://127.0.0.1:${port}`])
  t.equal(status, 0, output)
  const said = JSON.parse(output)
  const { value } = document.paths['/predict'].post.requestBody.content['application/json'].examples.rows
  const { predictions } = (await predict(value)).body
  t.match(said.rows, [
    { id: 'ad-2', index: 1 },
    { id: 'ad-1', index: 0 },
  ])
  // Another number of rows may change the last digits.
  for (const [value, expected] of [
    [said.rows[0].ctr, predictions[1].ctr],
    [said.rows[1].ctr, predictions[0].ctr],
    [said.column[0], predictions[0].ctr],
  ])
    t.ok(Math.abs(value / expected - 1) < 1e-5)
  for (const { score, raw, experts } of said.rows) t.ok(score > 0 && raw > 0 && experts > 1)
  t.match(said, { code: 'INVALID_REQUEST', paths: ['/candidates/0/price'], missing: 'MODEL_NOT_FOUND' })
  t.ok(said.states.length > 1 && said.states.every(([, state]: any) => state === 'ready'))
  t.ok(said.sides.includes('context') && said.sides.includes('candidate'))
})

/** Runs Node: the server in this process goes on answering. */
async function run(args: string[]): Promise<{ status: number; output: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [status] = await ended
  return { status, output: stdout + stderr }
}
