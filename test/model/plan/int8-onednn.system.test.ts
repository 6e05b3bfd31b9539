import fc from 'fast-check'
import t from 'tap'
import { checkInt8, openFull } from '../../../src/model/compile/onednn/judge-onednn.ts'
import type { CompiledPlan } from '../../../src/model/contracts/compiled-plan.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { answersInAllWays, requestsOf, withInt8 } from '../../support/compile/int8-plans.ts'
import { buildModel, distance, exampleModel, quantizationOf, randomModel } from '../../support/compile/random-model.ts'
import { withoutOnednn } from '../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

/** What computes a plan's int8 here, or undefined where its graph is not translated. */
async function productsOf(plan: CompiledPlan): Promise<string | undefined> {
  try {
    const { program, products } = await openFull(plan, 'int8')
    program.close()
    return products
  } catch {
    return undefined
  }
}

t.test('oneDNN answers in int8 as ONNX Runtime does, whatever is computed how', { skip }, async (t) => {
  let translated = 0
  await fc.assert(
    fc.asyncProperty(randomModel, fc.nat(), async (model, seed) => {
      const requests = requestsOf(model, 4, seed)
      await withInt8(model, folder, async (plan) => {
        if ((await productsOf(plan)) !== undefined) translated++
        const { expected } = await answersInAllWays({ ...plan, onednn: false }, requests)
        const native = await answersInAllWays({ ...plan, onednn: true }, requests)
        for (const [how, answers] of Object.entries({ full: native.expected, ...native.others })) {
          const apart = distance(expected, answers)
          if (!(apart <= 1e-6)) throw new Error(`${how}: ${apart} apart`)
        }
      })
    }),
    { numRuns: 20 },
  )
  t.ok(translated >= 15, `${translated} of 20 are translated`)
})

t.test('the check before it is served compares the engines', { skip }, async (t) => {
  const quantization = await quantizationOf(exampleModel, buildModel(exampleModel), 300)
  await withInt8(exampleModel, folder, async (plan) => {
    t.match(await checkInt8(plan, quantization.judged), /^oneDNN 3\.\d+\.\d+, A/)
  })
})
