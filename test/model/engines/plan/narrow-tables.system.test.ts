import t from 'tap'
import type { NarrowFormat } from '../../../../src/model/contracts/compiled-plan.ts'
import type { Overlay } from '../../../../src/model/contracts/live-tables.ts'
import { openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import {
  buildModel,
  distance,
  exampleModel,
  quantizationOf,
  type RandomModel,
  savedAnswers,
  withPlan,
} from '../../../support/compile/random-model.ts'
import { batchesOf, bytesFor, randomCosts, traffic } from '../../../support/compile/random-traffic.ts'
import { widened } from '../../../support/compile/widened.ts'
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

/** Models whose table is large enough for a file of its own. */
const largeModel = fc
  .record({
    seed: fc.nat(),
    sizes: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 3 }),
    sides: fc.array(fc.constantFrom('context', 'candidate', 'cross'), { minLength: 8, maxLength: 8 }),
    dim: fc.integer({ min: 4, max: 9 }),
    ids: fc.constantFrom('int32', 'int64', 'float32'),
  })
  .map(({ sizes, ...rest }) => ({ ...exampleModel, fields: [4096, ...sizes], ...rest }) as RandomModel)

/** Rounds the rows of a model's table. */
function roundTable(graph: Graph, dim: number, format: NarrowFormat): void {
  const { rawData } = graph.constants.get('table')!
  const values = new Float32Array(rawData.buffer, rawData.byteOffset, rawData.byteLength / 4)
  values.set(widened(values, dim, format))
}

t.test(
  'answers are those of a rounded table with the rows of deltas written in, whatever is computed how',
  async (t) => {
    const ways = { full: 0, shared_context: 0, cached: 0, hits: 0, changes: 0, live: 0, float16: 0, int8: 0 }
    await fc.assert(
      fc.asyncProperty(
        largeModel,
        traffic,
        fc.constantFrom<NarrowFormat>('float16', 'int8'),
        fc.boolean(),
        randomCosts,
        fc.nat(),
        async (model, traffic, format, isLive, costs, seed) => {
          const dice = new Dice(seed)
          const graph = buildModel(model)
          const quantization = await quantizationOf(model, graph)
          // Only what is computed counts here, not how close it is.
          quantization.judged.labels = undefined
          const use = async (ready: Parameters<typeof openPlan>[0]) => {
            const { live, tableRows } = ready.description
            if (tableRows!.format === format) {
              roundTable(graph, model.dim, format)
              ways[format]++
            }
            const named = live ? liveFieldsOf(live) : []
            const plan = await openPlan({ ...ready, costs }, options, bytesFor(ready, 24))
            try {
              let overlay: Overlay | undefined = live && firstOverlay(live)
              if (live) ways.live++
              for (const batch of batchesOf(model, traffic)) {
                if (overlay && dice.chance(0.4)) {
                  const delta = randomDelta(named, dice)
                  writeRows(graph, delta, named)
                  overlay = nextOverlay(overlay, [delta], named)
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
          const last = model.fields.length - 1
          const live = isLive && last > 0 ? { live: liveColumnsOf(model, [last]) } : {}
          await withPlan(model, folder, use, { ...live, tables: format, quantization })
        },
      ),
      { numRuns: randomCases(40), seed: steadySeed },
    )
    for (const [way, count] of Object.entries(ways)) t.ok(count > 0, `${way}: ${count}`)
  },
)

t.test('the tables that are mapped are counted, and no others', async (t) => {
  const model: RandomModel = { ...exampleModel, fields: [4096, 9, 12] }
  const quantization = await quantizationOf(model, buildModel(model))
  const rows = 4096 + 9 + 12
  const bytes = (changes: object) =>
    withPlan(
      model,
      folder,
      async (ready) => {
        const plan = await openPlan(ready, options, 0)
        await plan.close()
        return plan.memory.tables
      },
      { quantization, ...changes },
    )
  t.equal(await bytes({}), rows * 16)
  t.equal(await bytes({ tables: 'float16' }), rows * 8)
  t.equal(await bytes({ tables: 'int8' }), Math.ceil((rows * 4) / 4096) * 4096 + rows * 4)
})
