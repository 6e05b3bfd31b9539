import { mkdir, writeFile } from 'node:fs/promises'
import { Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createHttpWarmUp } from '../../src/app/http-warm-up.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { LoadedModel } from '../../src/model/serving/prediction/loaded-model.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { perFeatureGraph } from '../support/per-feature.ts'
import { send, startProcess } from '../support/process.ts'
import { startTestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

const drift = { features: { price: { edges: [1], shares: [0.5, 0.5] } }, tasks: {} }
const models = await temporaryFolder(t)
await writeTestBundle(models, { manifest: { drift } })

interface Asked {
  form: string
  rows: number
  /** Time that it may take, ms. */
  time: number
}

/**
 * Records what a warm-up asks its models, and what it logs. Time is the machine's, or passes by `tick` ms with each
 * look at the clock.
 */
function listen(ms: number, tick?: number) {
  let time = 0
  const now = () => {
    time += tick!
    return time
  }
  const lines: Record<string, any>[] = []
  const log = (level: string) => (fields: any, msg?: string) => lines.push({ level, msg, ...fields })
  const warmUp = createHttpWarmUp({
    ms,
    maxBodyBytes: 1_000_000,
    now: tick === undefined ? systemClock.now : now,
    log: { info: log('info'), warn: log('warn'), error: log('error') } as never,
  })
  const asked: Asked[] = []
  const rehearse = (model: LoadedModel) =>
    warmUp.run({
      ...model,
      predict: (query) => {
        const pending = model.predict(query)
        asked.push({ form: query.rows.form, rows: pending.rows, time: query.deadline - systemClock.now() })
        return pending
      },
    })
  return { warmUp, rehearse, lines, asked }
}

async function load(t: Test, folder: string, rehearse: (model: LoadedModel) => Promise<void>) {
  return startTestServer(t, { models: folder, limits: { rehearse } })
}

t.test('a model is asked in every form and several sizes, by HTTP, before it is served', async (t) => {
  const { warmUp, rehearse, lines, asked } = listen(1_000_000, 2000)
  await load(t, models, rehearse)
  await warmUp.close()
  t.same([...new Set(asked.map(({ form, rows }) => `${form} ${rows}`))].sort(), [
    ...['columns 1', 'columns 100', 'columns 20', 'rows 1', 'rows 100', 'rows 20', 'tensors 1', 'tensors 100'],
    'tensors 20',
  ])
  t.match(lines, [{ level: 'info', msg: 'warmed up by HTTP', model: 'ads', version: '1' }])
  t.ok(lines[0]!.answers > 9 && lines[0]!.answers <= asked.length, String(lines[0]!.answers))
  t.ok(lines[0]!.seconds >= 500 && lines[0]!.seconds <= 540, `for half of its time: ${lines[0]!.seconds} s`)
  t.ok(
    asked.every(({ time }) => time <= 500_000),
    'no request may take longer',
  )
})

t.test('a graph without a manifest is asked by the names of its inputs', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'shop/1'), { recursive: true })
  await writeFile(join(folder, 'shop/1/model.onnx'), perFeatureGraph().toBytes())
  const { warmUp, rehearse, lines, asked } = listen(100_000, 500)
  await load(t, folder, rehearse)
  await warmUp.close()
  t.same([...new Set(asked.map(({ form }) => form))], ['inputs'])
  t.match(lines, [{ level: 'info', model: 'shop' }])
})

t.test('what it asks is no traffic', async (t) => {
  const { warmUp, rehearse, asked } = listen(1_000_000, 500)
  const { registry, fastify } = await load(t, models, rehearse)
  await warmUp.close()
  t.ok(asked.length > 500, 'more than drift needs to be told')
  const { model } = registry.live()[0]!
  t.same(model.drift(), [])
  t.match(model.stats(), { queuedRows: 0, requests: 0, inFlightBatches: 0 })
  const metrics = (await fastify.inject('/metrics')).body
  for (const name of ['requests_total', 'rows_total', 'batch_rows_count', 'infer_duration_seconds_count'])
    t.notMatch(metrics, new RegExp(`^multigate_${name}\\{.* [1-9]`, 'm'), name)
})

t.test('a time of 0 asks nothing; nor does a warm-up that is closed', async (t) => {
  const none = listen(0)
  await load(t, models, none.rehearse)
  await none.warmUp.close()
  const closed = listen(1000)
  await closed.warmUp.close()
  await load(t, models, closed.rehearse)
  t.same([...none.asked, ...none.lines, ...closed.asked, ...closed.lines], [])
})

t.test('it ends at once when it is closed', async (t) => {
  const { warmUp, rehearse, lines, asked } = listen(600_000)
  const loading = load(t, models, rehearse)
  await until(() => asked.length > 20)
  await warmUp.close()
  await loading
  t.match(lines, [{ level: 'info', msg: 'warmed up by HTTP' }])
})

t.test('a model that answers nothing well is served all the same', async (t) => {
  const { warmUp, lines } = listen(100_000, 500)
  const { registry } = await load(t, models, (model) =>
    warmUp.run({
      ...model,
      predict: () => {
        throw new Error('not today')
      },
    }),
  )
  await warmUp.close()
  t.equal(registry.live().length, 1)
  t.match(lines, [{ level: 'warn', msg: /no warm-up/, reason: 'no request was answered in time' }])
})

t.test('each of ten models is asked for an eighth of the time at least', async (t) => {
  const folder = await temporaryFolder(t)
  const names = Array.from({ length: 10 }, (_, i) => `ads-${i}`)
  for (const name of names) await writeTestBundle(folder, { name })
  const { warmUp, rehearse, lines } = listen(1_000_000, 2000)
  let turn: Promise<void> = Promise.resolve()
  await load(t, folder, (model) => (turn = turn.then(() => rehearse(model))))
  await warmUp.close()
  t.same(
    lines.map(({ msg }) => msg),
    Array(10).fill('warmed up by HTTP'),
  )
  t.same(lines.map(({ model }) => model).sort(), names)
  const seconds = lines.map((line) => line.seconds)
  t.ok(seconds[0] >= 500 && seconds[0] <= 540, `the first for half of it: ${seconds[0]} s`)
  for (const time of seconds.slice(1)) t.ok(time >= 125 && time <= 290, `${time} s`)
  t.ok(
    seconds.slice(3).every((time) => time <= 165),
    String(seconds),
  )
})

t.test('all models together are asked for ten times as long at most', async (t) => {
  const { warmUp, rehearse, lines } = listen(4000, 500)
  const { registry } = await load(t, models, async () => undefined)
  const { model } = registry.live()[0]!
  for (let i = 0; i < 90; i++) await rehearse(model)
  await warmUp.close()
  const skipped = lines.filter(({ reason }) => reason === 'the models before it used up the time')
  t.ok(skipped.length > 5 && skipped.length < 30, String(skipped.length))
  t.same(lines.slice(-skipped.length), skipped)
})

t.test('a model that has answered nothing by its time has as much as the first', async (t) => {
  let time = 0
  const lines: Record<string, any>[] = []
  const log = (level: string) => (fields: any, msg?: string) => lines.push({ level, msg, ...fields })
  const warmUp = createHttpWarmUp({
    ms: 1000,
    maxBodyBytes: 1_000_000,
    now: () => time,
    log: { info: log('info'), warn: log('warn'), error: log('error') } as never,
  })
  let asked = 0
  await load(t, models, async (model) => {
    const predict =
      (ms: number): LoadedModel['predict'] =>
      (query) => {
        asked++
        time += ms
        return model.predict(query)
      }
    await warmUp.run({ ...model, predict: predict(10) })
    time += 5000
    await warmUp.run({ ...model, manifest: { ...model.manifest, name: 'slow' }, predict: predict(300) })
  })
  await warmUp.close()
  t.match(lines, [
    { level: 'info', model: 'ads' },
    { level: 'info', model: 'slow', answers: /^[1-9]/ },
  ])
  t.ok(asked > 10)
})

t.test('one that nothing can be made up for is served all the same, and the log says so', async (t) => {
  const { warmUp, lines } = listen(100_000, 500)
  await load(t, models, (model) => warmUp.run({ ...model, encoder: {} as never }))
  await warmUp.close()
  t.equal(lines.length, 1, 'and nothing else')
  t.match(lines[0], { level: 'warn', model: 'ads', msg: /first requests will be slow/, reason: /./ })
})

t.test('a process is ready when it has warmed up, and has counted nothing', async (t) => {
  const { port, lines } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_WARM_UP_MS: '1000' })
  const said = lines().map(({ msg }) => msg)
  t.ok(said.indexOf('warmed up by HTTP') > 0)
  t.ok(said.indexOf('warmed up by HTTP') < said.indexOf('ready'))
  t.equal((await send(port, '/readyz')).status, 200)
  const { text } = await send(port, '/metrics')
  t.notMatch(text, /^multigate_requests_total\{.*\} [1-9]/m)
  t.match(text, /^multigate_connections 1$/m)
  t.match(text, /^multigate_plan_rows_total\{.*\} 0$/m)
  t.notMatch(text, /^multigate_plan_rows_total\{.*\} [1-9]/m)
})

/** A warm-up whose time passes by `perListen` ms while its server starts, and by 10 ms with each prediction. */
function slowStart(ms: number, perListen: number) {
  let time = 0
  const { listen } = Server.prototype
  Server.prototype.listen = function (this: Server, ...options: any[]) {
    time += perListen
    return listen.apply(this, options as never)
  } as typeof listen
  const lines: Record<string, any>[] = []
  const log = (level: string) => (fields: any, msg?: string) => lines.push({ level, msg, ...fields })
  const warmUp = createHttpWarmUp({
    ms,
    maxBodyBytes: 1_000_000,
    now: () => time,
    log: { info: log('info'), warn: log('warn'), error: log('error') } as never,
  })
  const predicting = (model: LoadedModel, predict: LoadedModel['predict']) =>
    warmUp.run({
      ...model,
      predict: (query) => {
        time += 10
        return predict(query)
      },
    })
  return { warmUp, lines, predicting, restore: () => (Server.prototype.listen = listen) }
}

t.test('time counts from when the server of the warm-up listens', async (t) => {
  const { warmUp, lines, predicting, restore } = slowStart(1000, 10_000)
  t.teardown(restore)
  await load(t, models, (model) => predicting(model, model.predict))
  await warmUp.close()
  t.match(lines, [{ level: 'info', msg: 'warmed up by HTTP' }])
  t.ok(lines[0]!.answers > 0)
})
