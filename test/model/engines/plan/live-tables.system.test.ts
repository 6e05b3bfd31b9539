import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Overlay } from '../../../../src/model/contracts/live-tables.ts'
import { openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import {
  buildModel,
  distance,
  exampleModel,
  type RandomModel,
  randomModel,
  savedAnswers,
  withPlan,
} from '../../../support/compile/random-model.ts'
import {
  batchesOf,
  bytesFor,
  costsFor,
  randomCosts,
  traffic,
  type Way,
} from '../../../support/compile/random-traffic.ts'
import { answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'
import {
  firstOverlay,
  liveColumnsOf,
  liveFieldsOf,
  nextOverlay,
  randomDelta,
  writeRows,
} from '../../../support/live-overlay.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const folder = await temporaryFolder(t)

t.test('answers are those of tables with the rows written in, whatever is computed how', async (t) => {
  const ways = { full: 0, shared_context: 0, cached: 0, hits: 0, changes: 0 }
  const withFields = randomModel.filter(({ fields }) => fields.length > 0)
  await fc.assert(
    fc.asyncProperty(
      withFields,
      traffic,
      fc.constantFrom(0, 16, 24, 1000),
      randomCosts,
      fc.nat(),
      async (model, traffic, slots, costs, seed) => {
        const dice = new Dice(seed)
        const fields = model.fields.flatMap((_, i) => (dice.chance(0.6) ? [i] : []))
        if (fields.length === 0) fields.push(dice.below(model.fields.length))
        const graph = buildModel(model)
        const use = async (ready: Parameters<typeof openPlan>[0]) => {
          const live = ready.description.live!
          const named = liveFieldsOf(live)
          const plan = await openPlan({ ...ready, costs }, options, bytesFor(ready, slots))
          try {
            let overlay: Overlay = firstOverlay(live)
            for (const batch of batchesOf(model, traffic)) {
              if (dice.chance(0.4)) {
                const deltas = Array.from({ length: dice.between(1, 2) }, () => randomDelta(named, dice))
                for (const delta of deltas) writeRows(graph, delta, named)
                overlay = nextOverlay(overlay, deltas, named)
                plan.setOverlay!(overlay)
                ways.changes++
              }
              const apart = distance(await savedAnswers(graph, batch), await plan.run(batch))
              if (!(apart <= 1e-5)) throw new Error(`answers are ${apart} apart`)
            }
            const stats = plan.stats()
            for (const way of ['full', 'shared_context', 'cached'] as const) ways[way] += stats.rows[way]
            ways.hits += stats.cache.hits
          } finally {
            await plan.close()
          }
        }
        await withPlan(model, folder, use, { live: liveColumnsOf(model, fields) })
      },
    ),
    { numRuns: randomCases(120), seed: steadySeed },
  )
  for (const [way, count] of Object.entries(ways)) t.ok(count > 0, `${way}: ${count}`)
})

/** A model of two candidate fields, of which `live` may change, opened for a way of computing. */
function withLive(way: Way, live: number[], use: (parts: Opened) => Promise<void>): Promise<void> {
  const model: RandomModel = {
    ...exampleModel,
    fields: [20, 30, 12],
    sides: ['candidate', 'candidate', 'context', 'cross', 'cross', 'cross'],
  }
  const run = async (ready: Parameters<typeof openPlan>[0]) => {
    const plan = await openPlan({ ...ready, costs: costsFor(way) }, options, bytesFor(ready, 100))
    const fields = liveFieldsOf(ready.description.live!)
    const opened = { model, plan, fields, overlay: firstOverlay(ready.description.live!) }
    await use(opened).finally(() => plan.close())
  }
  return withPlan(model, folder, run, { live: liveColumnsOf(model, live) })
}

interface Opened {
  model: RandomModel
  plan: Awaited<ReturnType<typeof openPlan>>
  fields: ReturnType<typeof liveFieldsOf>
  overlay: Overlay
}

/** Five rows of one context: candidate i has the ids i and i + 5. */
function fiveRows() {
  const ids = Array.from({ length: 5 }, (_, i) => [i, 20 + i + 5, 50])
  return { rows: 5, inputs: { sparse: Int32Array.from(ids.flat()), dense: new Float32Array(15) } }
}

const deltaOf = (field: string, id: number, width: number) => ({
  model: 'm',
  version: '1',
  base: '0'.repeat(64),
  sequence: 1,
  tables: [{ field, width, ids: Uint32Array.of(id), rows: new Float32Array(width).fill(3) }],
})

t.test('only cached candidates that a delta touches are computed again', (t) =>
  withLive('cached', [0, 1], async ({ model, plan, fields, overlay }) => {
    const graph = buildModel(model)
    for (let i = 0; i < 3; i++) await plan.run(fiveRows())
    t.equal(plan.stats().cache.entries, 5)
    const delta = deltaOf('field1', 7, 4)
    writeRows(graph, delta, fields)
    plan.setOverlay!(nextOverlay(overlay, [delta], fields))
    t.equal(plan.stats().cache.entries, 4)
    t.ok(distance(await savedAnswers(graph, fiveRows()), await plan.run(fiveRows())) <= 1e-5)
    t.equal(plan.stats().cache.entries, 5)
  }),
)

/**
 * The model of `withLive`, where both candidate fields read the same rows of the table; only the first of them is live.
 */
async function withShared(use: (parts: Opened & { written: Graph }) => Promise<void>): Promise<void> {
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 3] }, dense: floatShape(-1, 1) })
  const dice = new Dice(2)
  const table = graph.constant('table', dice.floats(80), [20, 4])
  const column = (i: number) =>
    graph.node('Gather', ['ids', graph.constant('place', BigInt64Array.of(BigInt(i)), [])], { attributes: { axis: 1 } })
  const shifted = graph.node('Add', [column(1), graph.constant('shift', BigInt64Array.of(10n), [])])
  const parts = [column(0), shifted, column(2)].map((ids) => graph.node('Gather', [table, ids]))
  const x = graph.node('Concat', [...parts, 'dense'], { attributes: { axis: 1 } })
  const weights = (k: number, n: number) => graph.constant('kernel', dice.floats(k * n), [k, n])
  const hidden = graph.node('Relu', [graph.node('MatMul', [x, weights(13, 8)])])
  graph.node('Sigmoid', [graph.node('MatMul', [hidden, weights(8, 1)])], { outputs: ['probabilities'] })
  answerWith(graph, 'probabilities')
  const model = join(folder, 'shared')
  await mkdir(model, { recursive: true })
  await writeFile(join(model, 'model.onnx'), graph.toBytes())
  const { plan: ready, problem } = await prepare({
    source: { folder: model, format: 'onnx', file: 'model.onnx', outputs: ['probabilities'] },
    output: 'probabilities',
    sides: { ids: ['candidate', 'candidate', 'context'], dense: ['context'] },
    fields: {},
    precision: 'float32',
    live: { input: 'ids', columns: [{ column: 0, offset: 0, ids: 20 }] },
    quantization: undefined,
    identity: 'shared',
    cache: join(folder, 'shared-cache'),
    now: Date.now(),
  })
  if (ready === undefined) throw new Error(problem)
  const plan = await openPlan({ ...ready, costs: costsFor('cached') }, options, bytesFor(ready, 100))
  const live = ready.description.live!
  const opened = { model: exampleModel, plan, fields: liveFieldsOf(live), overlay: firstOverlay(live) }
  await use({ ...opened, written: reread(graph) }).finally(() => plan.close())
}

t.test('cached candidates are computed again, whichever of their fields reads a changed row', () =>
  withShared(async ({ plan, fields, overlay, written }) => {
    // Candidate i has the rows i and i + 11.
    const ids = Array.from({ length: 5 }, (_, i) => [i, i + 1, 0]).flat()
    const batch = { rows: 5, inputs: { ids: Int32Array.from(ids), dense: new Float32Array(5) } }
    for (let i = 0; i < 3; i++) await plan.run(batch)
    t.equal(plan.stats().cache.entries, 5)
    for (const [id, left] of [
      [2, 4],
      [14, 4],
      [9, 5],
    ] as const) {
      const delta = deltaOf('field0', id, 4)
      writeRows(written, delta, fields)
      overlay = nextOverlay(overlay, [delta], fields)
      plan.setOverlay!(overlay)
      t.equal(plan.stats().cache.entries, left, `row ${id}`)
      for (let call = 0; call < 2; call++)
        t.ok(distance(await savedAnswers(written, batch), await plan.run(batch)) <= 1e-5, `row ${id}, call ${call}`)
      t.equal(plan.stats().cache.entries, 5)
    }
  }),
)

t.test('an overlay that does not follow the one before clears the cache', (t) =>
  withLive('cached', [0], async ({ plan, fields, overlay }) => {
    for (let i = 0; i < 3; i++) await plan.run(fiveRows())
    const next = nextOverlay(overlay, [deltaOf('field0', 19, 4)], fields)
    plan.setOverlay!({ ...next, changed: { since: 7, tables: next.changed.tables } })
    t.equal(plan.stats().cache.entries, 0)
  }),
)

t.test('an empty overlay brings the answers of the tables back, bit by bit', async (t) => {
  for (const way of ['full', 'shared_context', 'cached'] as const)
    await withLive(way, [0], async ({ plan, fields, overlay }) => {
      for (let i = 0; i < 2; i++) await plan.run(fiveRows())
      const before = await plan.run(fiveRows())
      const changed = nextOverlay(overlay, [deltaOf('field0', 2, 4)], fields)
      plan.setOverlay!(changed)
      const meanwhile = await plan.run(fiveRows())
      plan.setOverlay!({ ...overlay, number: 2, changed: { ...changed.changed, since: 1 } })
      for (let i = 0; i < 2; i++) t.same(await plan.run(fiveRows()), before, way)
      const differing = Array.from({ length: 5 }, (_, row) => meanwhile[row * 2] !== before[row * 2])
      t.same(differing, [false, false, true, false, false], way)
    })
})

/** A graph with a table of its own for each of three fields, of widths 3, 2 and 3, and the sides of these fields. */
function tablePerField(): Graph {
  const dice = new Dice(5)
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, 3] } })
  const parts = [3, 2, 3].map((width, field) => {
    const table = graph.constant(`table${field}`, dice.floats(7 * width), [7, width])
    const place = graph.constant('place', BigInt64Array.of(BigInt(field)), [])
    const ids = graph.node('Gather', ['ids', place], { attributes: { axis: 1 } })
    return graph.node('Gather', [table, ids])
  })
  const x = graph.node('Concat', parts, { attributes: { axis: 1 } })
  const weights = (name: string, k: number, n: number) => graph.constant(name, dice.floats(k * n), [k, n])
  const hidden = graph.node('Relu', [graph.node('MatMul', [x, weights('first', 8, 6)])])
  graph.node('Sigmoid', [graph.node('MatMul', [hidden, weights('last', 6, 1)])], { outputs: ['probabilities'] })
  answerWith(graph, 'probabilities')
  return graph
}

t.test('fields with tables of their own have overlays of their own', async (t) => {
  const graph = tablePerField()
  const model = join(folder, 'own')
  await mkdir(model, { recursive: true })
  await writeFile(join(model, 'model.onnx'), graph.toBytes())
  const { plan: ready, problem } = await prepare({
    source: { folder: model, format: 'onnx', file: 'model.onnx', outputs: ['probabilities'] },
    output: 'probabilities',
    sides: { ids: ['candidate', 'context', 'cross'] },
    fields: {},
    precision: 'float32',
    live: { input: 'ids', columns: [0, 1, 2].map((column) => ({ column, offset: 0, ids: 7 })) },
    quantization: undefined,
    identity: 'own',
    cache: join(folder, 'own-cache'),
    now: Date.now(),
  })
  if (ready === undefined) return t.fail(problem ?? 'no plan')
  const live = ready.description.live!
  t.same(
    live.tables.map(({ overlay, width }) => [overlay, width]),
    [
      ['multigate:overlay:0', 3],
      ['multigate:overlay:1', 2],
      ['multigate:overlay:2', 3],
    ],
  )
  const fields = liveFieldsOf(live)
  const rows = Array.from({ length: 21 }, (_, row) => [row % 7, 4, (row * 5) % 7]).flat()
  const batch = { rows: 21, inputs: { ids: Int32Array.from(rows) } }
  for (const way of ['full', 'shared_context', 'cached'] as const) {
    const dice = new Dice(9)
    const written = reread(graph)
    const plan = await openPlan({ ...ready, costs: costsFor(way) }, options, 1 << 16)
    let overlay = firstOverlay(live)
    for (let i = 0; i < 6; i++) {
      const delta = randomDelta(fields, dice)
      writeRows(written, delta, fields, ['table0', 'table1', 'table2'])
      overlay = nextOverlay(overlay, [delta], fields)
      plan.setOverlay!(overlay)
      for (let call = 0; call < 3; call++) {
        const apart = distance(await savedAnswers(written, batch), await plan.run(batch))
        if (!(apart <= 1e-5)) t.fail(`${way}: answers are ${apart} apart`)
      }
    }
    t.ok(plan.stats().rows[way] > 0, `${way} was taken`)
    await plan.close()
  }
})
