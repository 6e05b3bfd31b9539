import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createServer, loadModel, MultigateError, predict } from '../src/index.ts'
import { temporaryFolder, writeTestBundle } from './support/bundle.ts'
import { startTestServer } from './support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { version: '9', seed: 2 })
await writeTestBundle(models, { version: '10', seed: 3 })
const options = { engine: 'onnx', workers: 1, cache: await temporaryFolder(t), deadlineMs: 60_000 } as const
const model = await loadModel(join(models, 'ads'), options)
t.teardown(() => model.close())
const server = await startTestServer(t, { models })

const context = { country: 'DE', hour: 21 }
const candidates = [
  { id: 'a', campaign: 'c9', price: 1.25, bid: 0.8 },
  { id: 'b', campaign: 'c4', price: 0.4, bid: 1.1, views: 3 },
  { campaign: 'c1', price: 0, bid: 0 },
]
const columns = { id: ['a', 'b'], campaign: ['c9', 'c4'], price: [1.25, 0.4] }

/** The same but for the last digits: a graph may be computed by another plan, or in another batch. */
function alike(t: Test, actual: unknown, expected: unknown, message: string): void {
  const [one, other] = [actual, expected].map((value) => {
    const numbers: number[] = []
    const shape = JSON.stringify(value, (_, part) => (typeof part === 'number' ? numbers.push(part) && 0 : part))
    return { shape, numbers }
  })
  t.equal(one!.shape, other!.shape, message)
  const far = one!.numbers.filter((value, i) => Math.abs(value - other!.numbers[i]!) > 1e-4 * Math.abs(value))
  t.same(far, [], `${message}: numbers`)
}

t.test('the highest version of a folder is loaded, or the one that is named', async (t) => {
  t.same([model.name, model.version, model.tasks], ['ads', '10', ['ctr', 'cvr', 'ctcvr']])
  const first = await loadModel(join(models, 'ads/1'), options)
  t.equal(first.version, '1')
  await first.close()
})

t.test('it answers what POST /predict answers, in every form', async (t) => {
  const bad = [candidates[0]!, { campaign: 7 as never, price: 1 }, candidates[1]!]
  for (const [name, request] of Object.entries({
    rows: { context, candidates },
    'one row': { context: { ...context, campaign: 'c9', price: 1 } },
    columns: { context, candidates: columns },
    'columns with everything': {
      context,
      candidates: columns,
      options: { raw: true, gates: true, rank: { by: 'ctr' } },
    },
    'some tasks': { context, candidates, tasks: ['ctcvr', 'ctr'] },
    'rows with everything': {
      context,
      candidates,
      options: { raw: true, gates: true, rank: { by: 'ecpm', top_k: 2 } },
    },
    partial: { context, candidates: bad, options: { partial: true, raw: true } },
    'partial and ranked': { context, candidates: bad, options: { partial: true, rank: { by: 'ctr' } } },
    'nothing good': { context, candidates: [bad[1]!], options: { partial: true } },
    'partial columns': {
      context,
      candidates: { ...columns, price: [1, 'x' as never] },
      options: { partial: true, raw: true, gates: true },
    },
    tensors: { sparse: [[0, 5, 30]], dense: [[0.5, 0]] },
    'tensors by the names of inputs': { inputs: { sparse: [[0, 5, 30]], dense: [[0.5, 0]] } },
    addressed: { model: 'ads', version: '10', context, candidates },
  })) {
    const { status, body } = await server.predict(request)
    t.equal(status, 200, `${name}: ${JSON.stringify(body)}`)
    const { request_id: _, ...expected } = body
    alike(t, await model.predict(request), expected, name)
  }
})

t.test('predict() is the same', async (t) => {
  const request = { context, candidates: columns }
  t.same(await predict(model, request), await model.predict(request))
})

t.test('many requests at once are each answered', async (t) => {
  const alone = await Promise.all(candidates.map((candidate) => model.predict({ context, candidates: [candidate] })))
  const together = await model.predict({ context, candidates })
  alike(
    t,
    alone.flatMap(({ predictions }) => predictions),
    together.predictions,
    'each as alone',
  )
})

t.test('what is wrong with a request is an Error like the problem details', async (t) => {
  const fails = (request: object, expected: object) =>
    t.rejects(model.predict(request), { name: 'MultigateError', ...expected })
  const { body } = await server.predict({ model: 'ads', context, candidates: [{ campaign: 7, zip: 1 }] })
  const error = await model.predict({ context, candidates: [{ campaign: 7, zip: 1 }] }).then(
    () => t.fail('answered'),
    (thrown) => thrown,
  )
  t.ok(error instanceof MultigateError && error instanceof Error)
  t.same(
    [error.code, error.status, error.title, error.message, error.errors],
    [body.code, body.status, body.title, body.detail, body.errors],
  )
  await fails({ candidates: 7 }, { code: 'INVALID_REQUEST', errors: [{ path: '/candidates' }] })
  await fails({ context, sparse: [[1]] }, { code: 'INVALID_REQUEST' })
  await fails(7 as never, { code: 'INVALID_REQUEST' })
  await fails({ model: 'other' }, { code: 'MODEL_NOT_FOUND', status: 404 })
  await fails({ version: '9' }, { code: 'VERSION_NOT_FOUND', status: 404 })
  await fails({ version: '10', label: 'x' }, { code: 'INVALID_REQUEST' })
  await fails({ label: 'stable', context, candidates }, { code: 'INVALID_REQUEST', errors: [{ path: '/label' }] })
  await fails(
    { context, candidates, options: { deadline_ms: 1e-9 } },
    { code: /^(DEADLINE_EXCEEDED|QUEUE_FULL)$/, status: /^(504|429)$/ },
  )
})

t.test('a request is given up by its signal, with the reason', async (t) => {
  const request = { context, candidates }
  await t.rejects(model.predict(request, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  const controller = new AbortController()
  const pending = model.predict(request, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(pending, { message: 'enough' })
  const late = new AbortController()
  await model.predict(request, { signal: late.signal })
  late.abort()
})

t.test('a closed model answers what it has, and nothing more', async (t) => {
  const other = await loadModel(join(models, 'ads/1'), { ...options, maxRequestRows: 2 })
  await t.rejects(other.predict({ context, candidates }), { code: 'TOO_MANY_ROWS', status: 413 })
  const under = other.predict({ context, candidates: columns })
  await Promise.all([other.close(), other.close()])
  t.equal((await under).predictions.ctr?.length, 2)
  await t.rejects(other.predict({ context, candidates: columns }), { code: 'DRAINING', status: 503 })
})

t.test('what can not be loaded says why', async (t) => {
  await t.rejects(loadModel(join(models, 'nothing'), options), {
    code: 'MODEL_NOT_FOUND',
    message: /nothing is no folder/,
  })
  const damaged = await temporaryFolder(t)
  await writeTestBundle(damaged)
  await writeFile(join(damaged, 'ads/1/model.json'), '{}')
  await t.rejects(loadModel(join(damaged, 'ads'), options), {
    code: 'INVALID_BUNDLE',
    status: 500,
    message: /ads\/1\/model\.json is damaged/,
  })
  await t.rejects(loadModel(models, { ...options, worker: 1 } as never), { message: /worker is no setting here/ })
})

t.test('warnings are heard', async (t) => {
  const warnings: string[] = []
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  const other = await loadModel(join(models, 'ads/1'), {
    ...options,
    cache: file,
    onWarning: (text) => warnings.push(text),
  })
  await other.close()
  t.match(warnings, [/cache|plan/])
})

t.test('a server of its own', async (t) => {
  const own = await createServer({ ...options, models, port: 0, drainDelayMs: 0, warmUpMs: 0, logLevel: 'silent' })
  t.teardown(() => own.close())
  await own.ready
  const answer = await fetch(`${own.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ context, candidates }),
  })
  t.match(await answer.json(), { model: 'ads', version: '10', predictions: [{ id: 'a' }, { id: 'b' }, {}] })
  await own.close()
  await t.rejects(fetch(`${own.url}/livez`))
})

t.test('a server says why it is not ready, and what is wrong with its options', async (t) => {
  const settings = { ...options, port: 0, drainDelayMs: 0, warmUpMs: 0, logLevel: 'silent', pollSeconds: 0 } as const
  await t.rejects(createServer({ ...settings, models: join(models, 'nothing') }), { message: /doesn't exist/ })
  const none = await createServer({ ...settings, models: await temporaryFolder(t) })
  t.teardown(() => none.close())
  await t.rejects(none.ready, { code: 'NOT_READY', status: 503, message: /there is no model/ })
  await t.rejects(createServer({ processes: 2 } as never), { message: /processes is no setting here/ })
  await t.rejects(createServer({ onednn: 'off' } as never), { message: /onednn is no setting here/ })
  const taken = createTcpServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  await t.rejects(createServer({ ...settings, models, port }), { code: 'EADDRINUSE' })
})
