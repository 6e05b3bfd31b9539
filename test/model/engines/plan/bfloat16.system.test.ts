import t from 'tap'
import { type OpenPlan, openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import {
  buildModel,
  distance,
  exampleModel,
  quantizationOf,
  type RandomModel,
  randomModel,
  savedAnswers,
  withPlan,
} from '../../../support/compile/random-model.ts'
import { batchesOf, bytesFor, costsFor, randomCosts, traffic } from '../../../support/compile/random-traffic.ts'
import { withoutOnednn } from '../../../support/onednn.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

const wideExample = { ...exampleModel, layers: 2, width: 70 }

/**
 * Products of few weights stay in float32: every other model is wide enough for bfloat16, with whole blocks of columns
 * or not.
 */
const wideModel = fc
  .tuple(randomModel, fc.boolean())
  .map(([model, wide]) =>
    wide ? { ...model, layers: 2, width: model.width % 2 === 0 ? 128 : 66 + model.width } : model,
  )

/** Largest difference of a probability: four times what the models differ by. */
const tolerance = 0.02

t.test('answers in bfloat16 are near those of the saved graph, whatever is computed how', { skip }, async (t) => {
  const ways = { full: 0, shared_context: 0, cached: 0, hits: 0 }
  let worst = 0
  await fc.assert(
    fc.asyncProperty(
      wideModel,
      // Finite values of usual size: eight bits do not cancel like 24, and oneDNN's ReLU of NaN is 0.
      traffic.map((some) => ({ ...some, odd: some.odd.filter((value) => value === 0) })),
      fc.constantFrom(0, 3, 16, 1000),
      randomCosts,
      async (model, traffic, slots, costs) => {
        const graph = buildModel(model)
        await withPlan(model, folder, async (ready) => {
          const plan = await openPlan(
            { ...ready, precision: 'bfloat16', onednn: true, costs },
            options,
            bytesFor(ready, slots),
          )
          try {
            for (const batch of batchesOf(model, traffic)) {
              const apart = distance(await savedAnswers(graph, batch), await plan.run(batch))
              worst = Math.max(worst, apart)
              if (!(apart <= tolerance)) throw new Error(`answers are ${apart} apart`)
            }
            const stats = plan.stats()
            for (const way of ['full', 'shared_context', 'cached'] as const) ways[way] += stats.rows[way]
            ways.hits += stats.cache.hits
          } finally {
            await plan.close()
          }
        })
      },
    ),
    { numRuns: randomCases(60), seed: steadySeed },
  )
  t.ok(
    Object.values(ways).every((count) => count > 0),
    JSON.stringify(ways),
  )
  t.ok(worst > 1e-5, 'bfloat16 rounds')
  t.comment(`largest difference ${worst}`)
})

t.test('narrow tables are widened as ONNX Runtime widens them', { skip }, async (t) => {
  // One field, whose ids have a row each, and several; rows of whole words, and others.
  for (const format of ['float16', 'int8'] as const)
    for (const [fields, dim] of [
      [[4096], 16],
      [[4096, 9, 12], 8],
      [[4096, 9, 12], 5],
    ] as const) {
      const model: RandomModel = { ...wideExample, fields: [...fields], dim }
      const quantization = await quantizationOf(model, buildModel(model))
      quantization.judged.labels = undefined
      await withPlan(
        model,
        folder,
        async (ready) => {
          t.equal(ready.description.tableRows!.format, format)
          for (const way of ['full', 'shared_context', 'cached'] as const) {
            const answers: number[][] = []
            for (const precision of ['float32', 'bfloat16'] as const) {
              const onednn = precision === 'bfloat16'
              const plan = await openPlan({ ...ready, precision, onednn, costs: costsFor(way) }, options, 1e6)
              try {
                answers.push(await answersTo(plan, model))
                t.ok(plan.stats().rows[way] > 0, `${precision}, ${way}`)
              } finally {
                await plan.close()
              }
            }
            const apart = distance(answers[0]!, answers[1]!)
            t.ok(apart > 0 && apart < tolerance, `${format}, ${fields.length} fields, ${way}: ${apart}`)
          }
        },
        { tables: format, quantization },
      )
    }
})

t.test('the same batch has the same answer, bit for bit', { skip }, async (t) => {
  for (const way of ['full', 'shared_context'] as const)
    await withPlan(wideExample, folder, async (ready) => {
      const plan = await openPlan({ ...ready, precision: 'bfloat16', onednn: true, costs: costsFor(way) }, options, 0)
      try {
        const [first, second] = [await answersTo(plan, wideExample), await answersTo(plan, wideExample)]
        t.same(first, second, way)
        t.ok(plan.stats().rows[way] > 0, `${way} computes rows`)
      } finally {
        await plan.close()
      }
    })
})

/** The answers to some requests, whose candidates are seen more than twice. */
async function answersTo(plan: OpenPlan, model: RandomModel): Promise<number[]> {
  const some = { seed: 7, batches: [[45], [30, 1, 14], [45]], bounded: true, candidates: 6, contexts: 3, odd: [] }
  const answers: number[] = []
  for (const batch of batchesOf(model, some)) answers.push(...(await plan.run(batch)))
  return answers
}
