import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import type { DeltaEvent } from '../../../../src/model/serving/delta-files/delta-follower.ts'
import type { LoadedModel, LoadOptions } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { costsFor } from '../../../support/compile/random-traffic.ts'
import { constantRows, removeDelta, writeDelta, writeLiveBundle, writeWrittenIn } from '../../../support/live-bundle.ts'

const pool = await createEnginePool({ engine: 'onnx', workers: 2 })
t.teardown(() => pool.close())

const context = { country: 'DE', hour: 21 }
const candidates = Array.from({ length: 30 }, (_, i) => ({ campaign: `c${i}`, price: 1 + i, views: i % 3 }))

async function load(
  t: { teardown(callback: () => Promise<void>): void },
  root: string,
  more: Partial<LoadOptions> = {},
  costs?: PlanCosts,
) {
  const model = await loadModel(await readBundle(root, 'ads', '1'), {
    pool,
    clock: systemClock,
    compiler: { cache: join(root, '.cache'), candidateBytes: 1 << 22, now: Date.now, ...(costs && { costs }) },
    maxBatchRows: 64,
    maxDelayMs: 0,
    maxQueueRows: 1000,
    maxRequestRows: 500,
    ...more,
  })
  t.teardown(() => model.close())
  return model
}

async function ask(model: LoadedModel, gates = false): Promise<number[][]> {
  const { table } = model.predict({
    rows: { form: 'rows', context, candidates },
    options: { raw: true, ...(gates && { gates: true }) },
    deadline: Number.POSITIVE_INFINITY,
  })
  const answer = await table
  return [...answer.raw!, ...answer.tasks, ...(gates ? answer.gates! : [])].map(([, values]) => [...values])
}

function largest(a: number[][], b: number[][]): number {
  return Math.max(...a.flatMap((values, i) => values.map((value, j) => Math.abs(value - b[i]![j]!))))
}

t.test('deltas take effect in order, and answers are those of a version with the rows written in', async (t) => {
  const root = await temporaryFolder(t)
  const folder = await writeLiveBundle(join(root, 'live'))
  const ids = Array.from({ length: 50 }, (_, i) => i)
  const first = [constantRows('campaign', ids.slice(0, 30), 0.7), constantRows('hour', [21], -0.4)]
  const second = [constantRows('campaign', ids.slice(20, 40), -0.9)]
  await writeWrittenIn(folder, join(root, 'first'), first)
  await writeWrittenIn(folder, join(root, 'both'), [...first, ...second])
  for (const way of ['full', 'shared_context', 'cached'] as const) {
    const costs = costsFor(way)
    const [live, one, both] = await Promise.all(
      ['live', 'first', 'both'].map((name) => load(t, join(root, name), {}, costs)),
    )
    const before = await ask(live!)
    const check = async (expected: number[][] | LoadedModel, what: string) => {
      const wanted = Array.isArray(expected) ? expected : await ask(expected)
      for (let i = 0; i < 4; i++) t.ok(largest(await ask(live!), wanted) < 1e-6, `${way}: ${what}`)
      if (!Array.isArray(expected))
        t.ok(largest(await ask(live!, true), await ask(expected, true)) < 1e-6, `${way}: ${what}, with gates`)
    }
    await check(before, 'none')
    await writeDelta(folder, 1, first)
    await live!.live!.refresh()
    t.match(live!.live!.status(), { applied: 1, rows: 31, refused: null })
    await check(one!, 'one')
    t.ok(largest(before, await ask(live!)) > 1e-3, 'another answer')
    await writeDelta(folder, 2, second)
    await live!.live!.refresh()
    t.match(live!.live!.status(), { applied: 2, rows: 41 })
    await check(both!, 'both')
    await removeDelta(folder, 2)
    await live!.live!.refresh()
    t.match(live!.live!.status(), { applied: 1, rows: 31 })
    await check(one!, 'one again')
    await removeDelta(folder, 1)
    await live!.live!.refresh()
    t.match(live!.live!.status(), { applied: 0, rows: 0 })
    await check(before, 'none again')
  }
})

t.test(
  'a version that loads has its deltas from the first request on; its golden rows are those of the tables',
  async (t) => {
    const root = await temporaryFolder(t)
    const folder = await writeLiveBundle(root)
    const rows = [
      constantRows(
        'campaign',
        Array.from({ length: 50 }, (_, i) => i),
        2,
      ),
    ]
    await writeWrittenIn(folder, join(root, '.written'), rows)
    await writeDelta(folder, 1, rows)
    const events: DeltaEvent[] = []
    const model = await load(t, root, { onDelta: (event) => events.push(event) })
    t.match(events, [{ type: 'applied', from: 0, to: 1, rows: 50 }])
    t.equal(model.plan.compiled, true)
    t.ok(largest(await ask(model), await ask(await load(t, join(root, '.written')))) < 1e-6)
  },
)

t.test('what can have no live tables says so, and refuses deltas', async (t) => {
  const root = await temporaryFolder(t)
  const cases: [string, Partial<LoadOptions>, Parameters<typeof writeLiveBundle>[1], RegExp][] = [
    ['int8', {}, { precision: 'int8' }, /live fields need the precision float32/],
    ['not compiled', { compiler: undefined as never }, {}, /live fields need a compiled graph/],
  ]
  for (const [name, options, manifest, reason] of cases) {
    const folder = await writeLiveBundle(join(root, name), manifest)
    await writeDelta(folder, 1, [constantRows('campaign', [1], 1)])
    const model = await load(t, join(root, name), options)
    t.match(model.plan.notes.join('\n'), reason, name)
    t.match(model.live!.status(), { applied: 0, refused: { file: 'deltas/delta-1.bin', reason } }, name)
    await removeDelta(folder, 1)
    await model.live!.refresh()
    t.equal(model.live!.status().refused, null, name)
  }
})

t.test('deltas are refused where signatures are asked for', async (t) => {
  const root = await temporaryFolder(t)
  await writeDelta(await writeLiveBundle(root), 1, [constantRows('campaign', [1], 1)])
  const model = await load(t, root, { refuseDeltas: 'deltas are not signed' })
  t.match(model.live!.status(), {
    applied: 0,
    refused: { file: 'deltas/delta-1.bin', reason: 'deltas are not signed' },
  })
})

t.test('a version without live fields has no deltas', async (t) => {
  const root = await temporaryFolder(t)
  const { writeTestBundle } = await import('../../../support/bundle.ts')
  await writeTestBundle(root)
  const model = await load(t, root)
  t.equal(model.live, undefined)
})
