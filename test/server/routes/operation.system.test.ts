import { spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createEnginePool } from '../../../src/model/engines/pool/pool.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { createHeldPool } from '../../support/held-pool.ts'
import { startTestServer, type TestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

const one = { context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] }

async function probe({ fastify }: TestServer, url = '/readyz') {
  const answer = await fastify.inject(url)
  return [answer.statusCode, answer.json()]
}

async function scrape({ fastify }: TestServer): Promise<string> {
  const answer = await fastify.inject('/metrics')
  return answer.body
}

/** Series without their values, Node's own left out. */
function series(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('multigate_'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
}

async function start(t: Test, options: Partial<Parameters<typeof startTestServer>[1]> = {}) {
  const models = options.models ?? (await temporaryFolder(t))
  return { models, server: await startTestServer(t, { models, ...options }) }
}

t.test('it lives, whatever the models and even while draining', async (t) => {
  const { server } = await start(t)
  t.same(await probe(server, '/livez'), [200, { status: 'ok' }])
  server.drain.draining = true
  t.same(await probe(server, '/livez'), [200, { status: 'ok' }])
})

t.test('it is ready once there is a model, and not while draining', async (t) => {
  const { models, server } = await start(t)
  t.same(await probe(server), [503, { status: 'unavailable', reasons: ['there is no model in the folder'] }])
  await writeTestBundle(models)
  await server.registry.reconcile()
  t.same(await probe(server), [200, { status: 'ok' }])
  server.drain.draining = true
  t.same(await probe(server), [503, { status: 'unavailable', reasons: ['shutting down'] }])
  t.equal((await server.predict(one)).status, 200, 'requests are still answered')
})

t.test('it says why it is not ready', async (t) => {
  const reasons = async (server: TestServer) => {
    const [status, body] = await probe(server)
    t.equal(status, 503)
    return (body as { reasons: string[] }).reasons
  }
  await t.test('no folder', async (t) => {
    const { server } = await start(t, { models: join(await temporaryFolder(t), 'absent') })
    t.match((await reasons(server))[0], /^the models folder can't be read: it is missing$/)
  })
  await t.test('not so several models, none of them the default', async (t) => {
    const models = await temporaryFolder(t)
    await writeTestBundle(models)
    await writeTestBundle(models, { name: 'other' })
    const { server } = await start(t, { models })
    t.equal((await probe(server))[0], 200, 'requests name theirs')
    const answer = await server.predict(one)
    t.same([answer.status, answer.body.code], [404, 'MODEL_NOT_FOUND'])
    t.equal((await server.predict({ ...one, model: 'other' })).status, 200)
  })
  await t.test('a default or a required model that does not exist or is broken', async (t) => {
    const models = await temporaryFolder(t)
    await writeTestBundle(models)
    await mkdir(join(models, 'broken', '1'), { recursive: true })
    await writeFile(join(models, 'broken', '1', 'manifest.json'), 'not JSON')
    const { server } = await start(t, {
      models,
      registry: { defaultModel: 'ads', requiredModels: ['absent', 'broken'] },
    })
    const [absent, broken, ...rest] = await reasons(server)
    t.equal(absent, 'absent: there is no such model')
    t.match(broken, /^broken: version 1 failed: broken\/1\/manifest\.json is not JSON/)
    t.same(rest, [])
    t.equal((await server.predict(one)).status, 200, 'the good one answers')
  })
  await t.test('its model is being loaded', async (t) => {
    const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
    t.teardown(() => inner.close())
    const held = createHeldPool(inner)
    const { models, server } = await start(t, { limits: { pool: held.pool } })
    await writeTestBundle(models)
    held.hold()
    const loaded = server.registry.reconcile()
    await held.holding(1)
    t.same(await reasons(server), ['ads: it is being loaded'])
    t.match((await server.predict(one)).body, { status: 503, code: 'NOT_READY', detail: /it is being loaded/ })
    held.release()
    await loaded
    t.same(await probe(server), [200, { status: 'ok' }])
  })
})

t.test('a model that is broken makes nothing unready that does not need it', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await mkdir(join(models, 'broken', '1'), { recursive: true })
  const { server } = await start(t, { models, registry: { defaultModel: 'ads' } })
  t.same(await probe(server), [200, { status: 'ok' }])
})

t.test('metrics', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeTestBundle(models, { name: 'other', version: '4' })
  let forgotten = 0
  const inner = await createEnginePool({ engine: 'onnx', workers: 1 })
  t.teardown(() => inner.close())
  const held = createHeldPool(inner)
  const server: TestServer = await startTestServer(t, {
    models,
    limits: { pool: held.pool, maxQueueRows: 2 },
    registry: {
      defaultModel: 'ads',
      onEvent: (event) => {
        if (event.type !== 'unloaded') return
        server.metrics.forget(event.name, event.version)
        forgotten++
      },
    },
  })

  await t.test('every metric of the service is there after traffic, and Node’s own', async (t) => {
    const unknownCountries = async () =>
      Number(
        /multigate_unknown_values_total\{model="ads",version="1",feature="country"\} (\d+)/.exec(
          await scrape(server),
        )?.[1] ?? 0,
      )
    const unknownBefore = await unknownCountries()
    t.equal((await server.predict({ ...one, context: { country: 'unknown', hour: 1 } })).status, 200)
    t.equal(await unknownCountries(), unknownBefore + 1)
    t.equal((await server.predict({ ...one, model: 'other' })).status, 200)
    t.equal((await server.predict({ ...one, context: {} })).status, 400)
    held.hold()
    const running = server.predict(one)
    await held.holding(1)
    const late = server.predict({ ...one, options: { deadline_ms: 30 } })
    t.equal((await late).status, 504)
    held.release()
    t.equal((await running).status, 200)
    const text = await scrape(server)
    const names = new Set([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`))
    for (const name of [
      'multigate_requests_total counter',
      'multigate_rows_total counter',
      'multigate_request_duration_seconds histogram',
      'multigate_queue_duration_seconds histogram',
      'multigate_encode_duration_seconds histogram',
      'multigate_infer_duration_seconds histogram',
      'multigate_batch_rows histogram',
      'multigate_batch_requests histogram',
      'multigate_batch_release_total counter',
      'multigate_queue_rows gauge',
      'multigate_in_flight_batches gauge',
      'multigate_predicted_wait_seconds gauge',
      'multigate_shed_total counter',
      'multigate_cancelled_total counter',
      'multigate_unknown_values_total counter',
      'multigate_prediction_mean gauge',
      'multigate_model_info gauge',
      'process_cpu_seconds_total counter',
      'nodejs_eventloop_lag_seconds gauge',
      'multigate_event_loop_busy_seconds_total counter',
    ])
      t.ok(names.has(name), name)
    const ads = 'model="ads",version="1"'
    for (const line of [
      `multigate_requests_total{${ads},outcome="ok"} 2`,
      `multigate_requests_total{${ads},outcome="invalid_request"} 1`,
      `multigate_requests_total{${ads},outcome="deadline_exceeded"} 1`,
      `multigate_requests_total{model="other",version="4",outcome="ok"} 1`,
      `multigate_rows_total{${ads}} 3`,
      `multigate_shed_total{${ads},reason="deadline"} 1`,
      `multigate_model_info{model="other",version="4",engine="onnx",precision="float32",architecture="multi_gate"} 1`,
      `multigate_request_duration_seconds_count{${ads}} 4`,
      `multigate_queue_rows{${ads}} 0`,
      `multigate_predicted_wait_seconds{${ads}} 0`,
    ])
      t.ok(text.includes(`${line}\n`), line)
    for (const task of ['ctr', 'cvr', 'ctcvr'])
      t.match(text, new RegExp(`multigate_prediction_mean\\{${ads},task="${task}"\\} 0\\.\\d+`))
    const buckets = [...text.matchAll(/multigate_request_duration_seconds_bucket\{le="([^"]+)",model="ads"/g)]
    t.same([buckets.at(0)?.[1], buckets.at(-2)?.[1], buckets.at(-1)?.[1]], ['0.00025', '2.5', '+Inf'])
  })

  await t.test('no gauge has the name of a counter', async (t) => {
    const { body } = await server.fastify.inject('/metrics')
    const gauges = [...body.matchAll(/^# TYPE (\S+) gauge$/gm)].map(([, name]) => name!)
    t.ok(gauges.includes('nodejs_active_handles'))
    t.same(
      gauges.filter((name) => name.endsWith('_total')),
      [],
    )
  })

  const promtool = spawnSync('promtool', ['--version']).status === 0
  await t.test(
    'the text is what Prometheus reads',
    { skip: promtool ? false : 'promtool is not installed' },
    async (t) => {
      const answer = await server.fastify.inject('/metrics')
      t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
      const check = spawnSync('promtool', ['check', 'metrics'], { input: answer.body, encoding: 'utf8' })
      t.same([check.status, `${check.stdout}${check.stderr}`], [0, ''])
      const broken = spawnSync('promtool', ['check', 'metrics'], { input: `${answer.body}{`, encoding: 'utf8' })
      t.not(broken.status, 0, 'it does read')
    },
  )

  await t.test('whatever requests say, they add no series', async (t) => {
    const outcomes = [
      { ...one, model: 'nothing' },
      { ...one, version: '99' },
      { ...one, label: 'nothing' },
      { ...one, tasks: ['nothing'] },
      { ...one, extra: 1 },
      'not JSON',
    ]
    for (const body of outcomes) await server.predict(body)
    const before = series(await scrape(server))
    for (let i = 0; i < 20; i++) {
      await server.predict({ ...one, model: `junk-${i}` })
      await server.predict({ ...one, version: `${1000 + i}` })
      await server.predict({ ...one, label: `junk-${i}` })
      await server.predict({ ...one, tasks: [`junk_${i}`] })
      await server.predict({ ...one, [`junk-${i}`]: 1 })
      await server.predict({ context: { ...one.context, [`junk-${i}`]: 1 } })
      await server.predict({ ...one, context: { country: `junk-${i}`, hour: 2 } })
      await server.fastify.inject(`/junk-${i}`)
      await server.fastify.inject(`/models/junk-${i}`)
      await server.fastify.inject({ method: 'PUT', url: `/predict?junk-${i}` })
    }
    const text = await scrape(server)
    t.same(series(text), before)
    t.notMatch(text, /junk/)
  })

  await t.test('requests refused before a model was asked are counted too', async (t) => {
    const count = async () => {
      const text = await scrape(server)
      return ['invalid_request', 'unsupported_media_type', 'body_too_large', 'model_not_found'].map((outcome) =>
        Number(
          new RegExp(`multigate_requests_total\\{model="",version="",outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ??
            0,
        ),
      )
    }
    const before = await count()
    await server.predict('not JSON')
    await server.predict({ ...one, extra: 1 })
    await server.predict(one, { 'content-type': 'text/plain' })
    await server.predict(`"${'x'.repeat(1_000_001)}"`)
    await server.predict({ ...one, model: 'nothing' })
    const after = await count()
    t.same(
      after.map((value, i) => value - before[i]!),
      [2, 1, 1, 1],
    )
  })

  await t.test('series of a version that is unloaded disappear', async (t) => {
    t.ok(series(await scrape(server)).some((name) => name.includes('version="1"')))
    await writeTestBundle(models, { version: '2', seed: 2 })
    await rm(join(models, 'other'), { recursive: true })
    await server.registry.reconcile()
    t.equal((await server.predict(one)).body.version, '2')
    await until(() => forgotten >= 2)
    const left = series(await scrape(server)).filter((name) => name.includes('model="'))
    t.same(
      left.filter((name) => !name.includes('model="ads"') && !name.includes('model=""')),
      [],
    )
    t.same(
      left.filter((name) => name.includes('version="1"')),
      [],
    )
    t.ok(left.some((name) => name.includes('version="2"')))
  })
})
