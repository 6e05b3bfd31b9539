import { mkdir, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createWorkerClient } from '../../src/model/engines/pool/worker-client.ts'
import { checksums } from '../../src/model/serving/bundle/checksum.ts'
import type { DeltaTable } from '../../src/model/serving/deltas/delta-file.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { send } from '../support/hostile-clients.ts'
import { constantRows, removeDelta, writeDelta, writeLiveBundle } from '../support/live-bundle.ts'
import { startTwo } from '../support/processes.ts'
import { startTestServer } from '../support/server.ts'
import { items, itemWidth, sharedTableGraph, writeItems, writeSharedTable } from '../support/shared-table.ts'
import { until } from '../support/until.ts'

const script = new URL('../support/killed-worker.js', import.meta.url)
const body = JSON.stringify({
  context: { country: 'DE', hour: 21 },
  candidates: Array.from({ length: 20 }, (_, i) => ({ campaign: `c${i}`, price: i })),
})
const everyId = Array.from({ length: 50 }, (_, i) => i)
const first = [constantRows('campaign', everyId, 1.5), constantRows('hour', [21], -1)]
const second = [constantRows('campaign', everyId, -1.5)]

type Answer = number[]
const answerOf = (text: string): Answer => JSON.parse(text).predictions.map(({ ctr }: { ctr: number }) => ctr)
/** Ways of computing differ in their last digits. */
const alike = (a: Answer, b: Answer) => a.every((value, i) => Math.abs(value - b[i]!) < 1e-5)

/** Clients that ask all the time; each answer must be one of `allowed`, as a whole. */
function keepAsking(port: number, allowed: () => Answer[], clients = 8) {
  let over = false
  const wrong: string[] = []
  let answered = 0
  const done = Array.from({ length: clients }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!over) {
      const { status, text } = await send(port, '/predict', body, {}, agent)
      // A worker thread that dies takes its call with it.
      if (status === 500 && JSON.parse(text).code === 'MODEL_FAILED') continue
      if (status !== 200 || !allowed().some((answer) => alike(answer, answerOf(text)))) wrong.push(text)
      else answered++
    }
    agent.destroy()
  })
  return {
    wrong,
    /** Resolves after some more answers. */
    more: async () => {
      const before = answered
      await until(() => answered > before + 40 || wrong.length > 0)
    },
    stop: async () => {
      over = true
      await Promise.all(done)
    },
  }
}

async function expectedAnswers(t: Test): Promise<Answer[]> {
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const server = await startTestServer(t, { models, limits: { compiler } })
  const answers = [answerOf(JSON.stringify((await server.predict(body)).body))]
  for (const [i, tables] of [first, second].entries()) {
    await writeDelta(folder, i + 1, tables)
    await server.registry.reconcile()
    answers.push(answerOf(JSON.stringify((await server.predict(body)).body)))
  }
  return answers
}

const compiler = { cache: await temporaryFolder(t), candidateBytes: 1 << 22, now: Date.now }

t.test('answers under load are from before a delta or from after it, whatever dies meanwhile', async (t) => {
  const answers = await expectedAnswers(t)
  t.notOk(alike(answers[0]!, answers[1]!) || alike(answers[1]!, answers[2]!) || alike(answers[0]!, answers[2]!))
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const { fastify, registry, pool } = await startTestServer(t, {
    models,
    pool: { workers: 2, createWorker: (settings) => createWorkerClient({ ...settings, flag } as never, script) },
    limits: { maxBatchRows: 40, compiler },
  })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  let allowed = [answers[0]!]
  const asking = keepAsking(port, () => allowed)
  const status = () => registry.list()[0]!.versions[0]!.deltas
  /** Changes the files, and waits until only the answers of `state` are right. */
  const change = async (state: number, files: () => Promise<void>) => {
    await asking.more()
    allowed = [...allowed, answers[state]!]
    await files()
    await registry.reconcile()
    t.equal(status()!.applied, state)
    // Those that were computed before may still be on their way.
    await asking.more()
    allowed = [answers[state]!]
    await asking.more()
  }
  await change(1, () => writeDelta(folder, 1, first))
  await change(2, () => writeDelta(folder, 2, second))
  await change(1, () => removeDelta(folder, 2))
  const before = pool.stats().replaced
  flag[0] = 1
  await until(() => pool.stats().replaced === before + 1 && pool.stats().alive === 2)
  await change(2, () => writeDelta(folder, 2, second))
  await change(0, () => writeDelta(folder, 1, first, {}, (bytes) => bytes.subarray(0, -5)))
  t.match(status(), { applied: 0, rows: 0, refused: { file: 'deltas/delta-1.bin', reason: /truncated/ } })
  await asking.stop()
  t.same(asking.wrong, [])
})

t.test('a worker that is replaced has the rows that changed before', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const { registry, pool, predict } = await startTestServer(t, {
    models,
    pool: { createWorker: (settings) => createWorkerClient({ ...settings, flag } as never, script) },
    limits: { compiler },
  })
  await writeDelta(folder, 1, first)
  await registry.reconcile()
  const before = (await predict(body)).body.predictions
  flag[0] = 1
  t.equal((await predict(body)).status, 500)
  await until(() => pool.stats().alive === 1)
  t.same((await predict(body)).body.predictions, before)
})

t.test('GET /models and the metrics say what is in effect, and what is refused', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const { registry, fastify, metrics } = await startTestServer(t, { models, limits: { compiler } })
  const deltas = async () => (await fastify.inject('/models')).json().models[0].versions[0].deltas
  const series = async () =>
    (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => /^multigate_(?:delta|overlay)/.test(line) && !line.includes('apply_seconds'))
      .map((line) => line.replace('{model="ads",version="1"}', ''))
  t.same(await deltas(), { applied: 0, rows: 0, bytes: 24, last_applied_at: null, refused: null })
  await writeDelta(folder, 1, first)
  await writeDelta(folder, 2, second, { model: 'other' })
  await registry.reconcile()
  t.match(await deltas(), {
    applied: 1,
    rows: 51,
    last_applied_at: /^\d{4}-\d\d-\d\dT/,
    refused: { file: 'deltas/delta-2.bin', reason: 'is of other/1, not of ads/1' },
  })
  t.same(await series(), [
    'multigate_deltas_applied 1',
    'multigate_overlay_rows 51',
    'multigate_delta_refused 1',
    'multigate_deltas_refused_total 1',
  ])
  t.notMatch(JSON.stringify(await deltas()), folder)
})

const shop = JSON.stringify({
  model: 'shop',
  context: { first: 3, second: 5, third: 0 },
  candidates: Array.from({ length: items }, (_, item) => ({ item })),
})
const itemRows = (field: string, rows: Record<number, number>): DeltaTable => ({
  field,
  width: itemWidth,
  ids: Uint32Array.from(Object.keys(rows), Number),
  rows: Float32Array.from(Object.values(rows).flatMap((value) => new Array<number>(itemWidth).fill(value))),
})

t.test('fields that share a table all read its new rows, whichever field names them', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeSharedTable(models, sharedTableGraph(false), ['item', 'third'])
  const { registry, predict } = await startTestServer(t, { models, limits: { compiler } })
  const ask = async () => answerOf(JSON.stringify((await predict(shop)).body))
  /** The answer of another server for a version with the rows in its table. */
  const written = async (rows: Record<number, number>) => {
    const other = await temporaryFolder(t)
    await writeSharedTable(other, writeItems(sharedTableGraph(false), rows), [])
    const server = await startTestServer(t, { models: other, limits: { compiler } })
    return answerOf(JSON.stringify((await server.predict(shop)).body))
  }
  const status = () => registry.list()[0]!.versions[0]!.deltas!
  const steps: [DeltaTable[], Record<number, number>][] = [
    [[itemRows('item', { 2: 1.5, 7: -1 })], { 3: 1.5, 8: -1 }],
    [[itemRows('third', { 3: 0.5, 0: 2 })], { 3: 0.5, 8: -1, 0: 2 }],
    [[itemRows('item', { 4: 0.25 }), itemRows('third', { 12: 0.75 })], { 3: 0.5, 8: -1, 0: 2, 5: 0.25, 12: 0.75 }],
  ]
  for (const [i, [tables, rows]] of steps.entries()) {
    // Candidates are cached by then.
    for (let call = 0; call < 3; call++) await ask()
    await writeDelta(folder, i + 1, tables)
    await registry.reconcile()
    t.match(status(), { applied: i + 1, rows: Object.keys(rows).length, refused: null })
    const expected = await written(rows)
    for (let call = 0; call < 3; call++) t.ok(alike(await ask(), expected), `delta ${i + 1}, call ${call + 1}`)
  }
  await writeDelta(folder, 4, [itemRows('item', { 4: 1 }), itemRows('third', { 5: 1 })])
  await registry.reconcile()
  t.match(status(), {
    applied: 3,
    refused: { reason: /^table 1 \(third\): its id 5 is row 5 of the table, and so is/ },
  })
})

t.test('a table that is a weight, too, is not live, and says why', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeSharedTable(models, sharedTableGraph(true), ['item'])
  const { registry, fastify, predict } = await startTestServer(t, { models, limits: { compiler } })
  const before = (await predict(shop)).body
  await writeDelta(folder, 1, [itemRows('item', { 2: 1.5 })])
  await registry.reconcile()
  const reason = /^the table items is not read by look-ups alone: Gemm \S+ reads it$/
  t.match(registry.list()[0]!.versions[0]!.deltas, { applied: 0, refused: { file: 'deltas/delta-1.bin', reason } })
  t.match((await fastify.inject('/models/shop')).json().plan.notes, [
    /^deltas are refused: the table items is not read/,
  ])
  t.same((await predict(shop)).body.predictions, before.predictions)
})

t.test('digests of a version do not count its deltas', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const before = await checksums(folder)
  await writeDelta(folder, 1, first)
  t.same(await checksums(folder), before)
})

t.test('deltas do not load a version again, and other changes of files do as before', async (t) => {
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const { registry, events } = await startTestServer(t, { models, limits: { compiler } })
  await writeDelta(folder, 1, first)
  await registry.load('ads')
  t.equal(events.filter(({ type }) => type === 'loaded').length, 1)
  t.equal(registry.list()[0]!.versions[0]!.deltas!.applied, 1)
  // A failed version is tried again when it changes, but not for its deltas.
  const failed = join(models, 'ads', '2')
  await mkdir(join(failed, 'deltas'), { recursive: true })
  await writeFile(join(failed, 'manifest.json'), '{')
  await registry.reconcile()
  const failures = () => events.filter(({ type }) => type === 'failed').length
  t.equal(failures(), 1)
  await writeFile(join(failed, 'deltas', 'delta-1.bin'), '')
  await registry.reconcile()
  t.equal(failures(), 1)
  await writeFile(join(failed, 'manifest.json'), '{}')
  await registry.reconcile()
  t.equal(failures(), 2)
})

t.test('two processes follow the folder, each by itself', async (t) => {
  const answers = await expectedAnswers(t)
  const models = await temporaryFolder(t)
  const folder = await writeLiveBundle(models)
  const { port, lines } = await startTwo(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_POLL_SECONDS: '0.1',
    MULTIGATE_WORKERS: '1',
    MULTIGATE_CACHE: join(await temporaryFolder(t), 'cache'),
  })
  let allowed = [answers[0]!]
  const asking = keepAsking(port, () => allowed, 4)
  const said = (msg: string) =>
    new Set(lines().flatMap((line) => (line.msg === msg ? [`${line.pid} ${line.to}`] : []))).size
  const change = async (state: number, files: () => Promise<void>, msg: string, count: number) => {
    await asking.more()
    allowed = [...allowed, answers[state]!]
    await files()
    await until(() => said(msg) === count)
    await asking.more()
    allowed = [answers[state]!]
    await asking.more()
  }
  await change(1, () => writeDelta(folder, 1, first), 'deltas applied', 2)
  await change(2, () => writeDelta(folder, 2, second), 'deltas applied', 4)
  await writeDelta(folder, 4, second)
  await until(() => lines().filter(({ msg }) => msg === 'a delta is refused').length === 2)
  const refused = lines().find(({ msg }) => msg === 'a delta is refused')
  t.match(refused, { model: 'ads', version: '1', file: 'deltas/delta-4.bin', reason: 'deltas/delta-3.bin is missing' })
  await removeDelta(folder, 4)
  await change(1, () => removeDelta(folder, 2), 'deltas reverted', 2)
  await asking.stop()
  t.same(asking.wrong, [])
})
