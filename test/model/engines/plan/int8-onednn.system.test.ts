import t from 'tap'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import { checkInt8, productsBy } from '../../../../src/model/graph/compile/judge-onednn.ts'
import { testGraphs } from '../../../../src/model/graph/compile/test-graphs.ts'
import { judgedProbabilities } from '../../../../src/model/graph/int8/judge.ts'
import type { ProgramResults } from '../../../../src/model/graph/onednn/create-program.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { answersInAllWays, requestsOf, withInt8 } from '../../../support/compile/int8-plans.ts'
import {
  buildModel,
  distance,
  exampleModel,
  quantizationOf,
  randomModel,
} from '../../../support/compile/random-model.ts'
import { withoutInt8 } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutInt8() ?? false

/** The library that computes a plan's int8 here, or undefined where its graph is not translated. */
async function productsOf(plan: CompiledPlan): Promise<string | undefined> {
  try {
    return await productsBy(plan, 'int8')
  } catch {
    return undefined
  }
}

t.test('oneDNN answers in int8 as ONNX Runtime does, whatever is computed how', { skip }, async (t) => {
  const runs = randomCases(20)
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
    { numRuns: runs, seed: steadySeed },
  )
  t.ok(translated >= 0.75 * runs, `${translated} of ${runs} are translated`)
})

t.test('the check before it is served compares the engines', { skip }, async (t) => {
  const quantization = await quantizationOf(exampleModel, buildModel(exampleModel), 300)
  await withInt8(exampleModel, folder, async (plan) => {
    const { judged } = quantization
    const expected = await judgedProbabilities(plan.folder, plan.description.int8!.full, judged)
    t.match(await checkInt8(plan, judged, expected), /^oneDNN 3\.\d+\.\d+, A/)
  })
})

t.test('a graph by side that answers otherwise is refused, by name', { skip }, async (t) => {
  const { judged } = await quantizationOf(exampleModel, buildModel(exampleModel), 300)
  await withInt8(exampleModel, folder, async (plan) => {
    const files = plan.description.int8!
    for (const part of ['shared_context', 'candidate_encoder', 'context_encoder', 'cached'] as const) {
      const opened: string[] = []
      const open: typeof openProgram = async (folder, file, options) => {
        const program = await openProgram(folder, file, options)
        opened.push(file.file)
        if (typeof program === 'string' || file !== files[part]) return program
        return { ...program, run: async (feeds) => disturbed(await program.run(feeds)) }
      }
      const { file } = files[part]!
      const message = new RegExp(`^oneDNN's answers in ${file} are .* from ONNX Runtime's$`)
      await t.rejects(testGraphs(plan, files, 'int8', judged, open), { message }, part)
      t.equal(opened.at(-1), file)
    }
  })
})

/** The last value of each output is another. */
function disturbed(results: ProgramResults): ProgramResults {
  for (const { data } of Object.values(results)) data[data.length - 1]! += 1 + Math.abs(data.at(-1)!)
  return results
}
