// Large tables in float16 and int8 as users meet them: through HTTP.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { constantRows, writeDelta } from '../support/live-bundle.ts'
import { ads, type NarrowBundle, writeNarrowBundle } from '../support/narrow-bundle.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const shipped = join(import.meta.dirname, '../../../models/ads-funnel')
/** Several servers open the same plans. */
const cache = await temporaryFolder(t)

interface Served extends TestServer {
  warnings: string[]
  model: string
}

/** The system's time; `pending`: timers that are set. */
function countedClock(): { clock: Clock; pending(): number } {
  const pending = new Set<object>()
  const after: Clock['after'] = (ms, callback) => {
    const timer = {}
    pending.add(timer)
    const done = () => pending.delete(timer)
    const cancel = systemClock.after(ms, () => {
      done()
      callback()
    })
    return () => {
      done()
      cancel()
    }
  }
  return { clock: { ...systemClock, after }, pending: () => pending.size }
}

async function serve(t: Test, models: string, model: string, clock = systemClock): Promise<Served> {
  const warnings: string[] = []
  const onWarning = (message: string) => warnings.push(message)
  const compiler = { cache, candidateBytes: 1 << 20, now: Date.now, onWarning }
  return { ...(await startTestServer(t, { models, clock, limits: { compiler } })), warnings, model }
}

async function serveShipped(t: Test, changes: Partial<Manifest>, clock = systemClock): Promise<Served> {
  const models = await temporaryFolder(t)
  await cp(shipped, join(models, 'ads-funnel'), { recursive: true })
  const file = join(models, 'ads-funnel/1/manifest.json')
  const manifest: Manifest = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...manifest, ...changes }))
  return serve(t, models, 'ads-funnel', clock)
}

async function serveNarrow(t: Test, bundle: NarrowBundle): Promise<Served & { folder: string }> {
  const models = await temporaryFolder(t)
  const folder = await writeNarrowBundle(models, bundle)
  return { ...(await serve(t, models, 'ads')), folder }
}

const read = async ({ fastify }: TestServer, url: string) => (await fastify.inject({ method: 'GET', url })).body
const details = async (server: Served) => JSON.parse(await read(server, `/models/${server.model}`))
const fallback = async (server: Served) =>
  Number(/^multigate_precision_fallback\{.*\} (\S+)$/m.exec(await read(server, '/metrics'))![1])

const logit = (p: number) => Math.log(p / (1 - p))
/** Logits of ctr. */
async function ask(server: Served, body: object): Promise<number[]> {
  const { status, body: answer } = await server.predict({ model: server.model, ...body })
  if (status !== 200) throw new Error(JSON.stringify(answer))
  return answer.predictions.map(({ ctr }: { ctr: number }) => logit(ctr))
}
/** Largest difference. */
const apart = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

const funnel = {
  context: { country: 'DE', hour: 9, segment: 's17' },
  candidates: Array.from({ length: 50 }, (_, i) => ({ campaign: `c${i}`, price: i / 10 })),
}
/** Every 400th ad. */
const someAds = { candidates: Array.from({ length: 50 }, (_, i) => ({ ad: (i * ads) / 50, price: 0 })) }

t.test('narrow tables that pass their check are served, and say how good they are', async (t) => {
  const expected = await serveShipped(t, {})
  const exact = await ask(expected, funnel)
  const { plan, memory } = await details(expected)
  t.match(plan, { precision: 'float32', tables: 'float32' })
  t.notOk('tables_check' in plan)
  for (const [tables, limit] of [
    ['float16', 2e-3],
    ['int8', 0.05],
  ] as const) {
    const server = await serveShipped(t, { tables })
    t.same(server.warnings, [])
    const narrow = await details(server)
    t.match(narrow.plan, { precision: 'float32', tables, compiled: true, split_by_side: true })
    t.match(narrow.plan.notes, [/^the AUC of ctr, cvr was not compared: /])
    t.match(narrow.plan.tables_check, { passed: true, rows: 2048, reasons: [] })
    t.match(narrow.versions, [{ state: 'ready', precision: 'float32', tables }])
    t.equal(await fallback(server), 0)
    const share = narrow.memory.tables / memory.tables
    // An int8 row has a scale, which is two thirds of a row of the wide part.
    t.ok(share <= (tables === 'int8' ? 0.46 : 0.5), `${share} of the bytes`)
    // Context once, then cached candidates too.
    for (let i = 0; i < 3; i++) {
      const difference = apart(await ask(server, funnel), exact)
      t.ok(difference > 0 && difference < limit, `${difference}`)
    }
    // Gates come from the saved graph.
    const { body } = await server.predict({ model: 'ads-funnel', ...funnel, options: { gates: true } })
    t.match(body.predictions[0].gates, { ctr: [Number] })
  }
})

t.test('int8 has bytes for its own tables, and is compared with float32 tables', async (t) => {
  const server = await serveShipped(t, { precision: 'int8', tables: 'float16' })
  const int8 = await serveShipped(t, { precision: 'int8' })
  t.same(server.warnings, [])
  const { plan, memory } = await details(server)
  t.match(plan, { precision: 'int8', tables: 'float16', int8_check: { passed: true }, tables_check: { passed: true } })
  const alone = await details(int8)
  t.same(plan.int8_check, alone.plan.int8_check)
  t.equal(memory.tables, alone.memory.tables)
  // Each server measures which variant is cheaper by itself; the last digits differ.
  t.ok(apart(await ask(server, funnel), await ask(int8, funnel)) < 1e-4)
  t.equal(await fallback(server), 0)
})

t.test('a format with which a version loses AUC is not served', async (t) => {
  // A step of int8 is larger than what the other values of a row differ by.
  const offset = 1000
  const expected = await ask(await serveNarrow(t, { offset }), someAds)
  const server = await serveNarrow(t, { offset, tables: 'int8' })
  const { plan } = await details(server)
  t.match(plan, { tables: 'float32', compiled: true, tables_check: { passed: false } })
  t.match(plan.notes[0], /^float32 tables are served, not int8: ctr: auc_loss is 0\.\d+, more than 0\.0001; /)
  t.same(server.warnings, [`ads/1: ${plan.notes[0]}`])
  t.equal(await fallback(server), 1)
  t.same(await ask(server, someAds), expected)
  const half = await serveNarrow(t, { offset, tables: 'float16' })
  t.match((await details(half)).plan, { tables: 'float16', tables_check: { passed: true } })
  t.ok(apart(await ask(half, someAds), expected) < 2e-3)
})

t.test('without quantization rows tables stay float32', async (t) => {
  const server = await serveNarrow(t, { tables: 'float16', unchecked: true })
  const { plan } = await details(server)
  const reason = 'the version has no quantization rows to evaluate float16 tables with'
  t.match(plan, { tables: 'float32' })
  t.ok(plan.notes.includes(`float32 tables are served, not float16: ${reason}`), plan.notes.join())
  t.equal(await fallback(server), 1)
})

t.test('rows of deltas stay float32 beside a narrow table', async (t) => {
  for (const tables of ['float16', 'int8'] as const) {
    const server = await serveNarrow(t, { tables, live: true })
    t.match((await details(server)).plan, { tables })
    const before = await ask(server, someAds)
    // Neither format has this value.
    const value = 0.123456789
    await writeDelta(server.folder, 1, [constantRows('ad', [0, 400], value)])
    await server.registry.reconcile()
    t.match((await details(server)).versions[0].deltas, { applied: 1, rows: 2 })
    const after = await ask(server, someAds)
    t.ok(apart(after.slice(0, 2), [0.001 * value + 3 * value, 0.001 * value + 3 * value]) < 1e-5)
    t.ok(apart(after.slice(2), before.slice(2)) < 1e-6)
  }
})

t.test('what checked the golden rows leaves nothing behind', async (t) => {
  const { clock, pending } = countedClock()
  const server = await serveShipped(t, { tables: 'int8' }, clock)
  t.match((await details(server)).plan, { tables: 'int8' })
  await server.registry.close()
  t.equal(pending(), 0)
})
