import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { lengthTensor } from '../../../../src/model/contracts/list-length.ts'
import { changeEach } from '../../../../src/model/graph/compile/compiled-graph.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import type { ProgramValue } from '../../../../src/model/graph/onednn/create-program.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import { amxTiling, avx512Tiling } from '../../../../src/model/graph/onednn/tiling.ts'
import { joinPairProducts } from '../../../../src/model/graph/sides/pair-products.ts'
import type { SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fullVariant, planNames } from '../../../../src/model/graph/sides/tensor-names.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { randomAttention } from '../../../support/compile/random-attention.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { answersOf, type Feeds, feedsOf } from '../../../support/compile/run-graph.ts'
import { withCutLists } from '../../../support/compile/run-plan.ts'
import { withoutBfloat16 } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutBfloat16() ?? false

/** Products behind the pairs are left to ONNX Runtime: what is opened computes pairs. */
const options = { precision: 'bfloat16', requests: planNames.requests, leastWeights: Number.POSITIVE_INFINITY } as const

t.test('layers over pairs of candidates and items answer in bfloat16 as in float32', { skip }, async (t) => {
  const counts = { opened: 0, left: 0, cached: 0, blocks: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const { graph: written, sides, lists } = randomAttention(new Dice(seed), 4, ['DIN'], 20)
      const graph = await prepared(written)
      await optimise(graph)
      const plans = splitSides(graph, sides)
      if (typeof plans === 'string') throw new Error(plans)
      const short = seed % 4 === 0 ? [] : lists
      const cut = withCutLists({ full: fullVariant(graph), split: plans }, short, new Map())
      const { shared_context, cached } = changeEach(cut, joinPairProducts).split as SplitGraphs
      for (const variant of [shared_context, cached]) {
        if (variant?.oneRequest === undefined) continue
        const { context, rows, oneRequest, lists: lengths = [] } = variant
        await writeFile(join(folder, 'graph.onnx'), variant.graph.toBytes())
        const program = await openProgram(
          folder,
          { file: 'graph.onnx', context, rows, oneRequest, lists: lengths },
          { ...options, tiling: seed % 3 === 0 ? amxTiling : avx512Tiling },
        )
        if (typeof program === 'string') {
          counts.left++
          continue
        }
        counts.opened++
        counts.cached += Number(variant === cached)
        try {
          const dice = new Dice(seed)
          for (const count of [1, 3, 150, 9]) {
            const feeds: Feeds = feedsOf(variant.graph, count, dice)
            const ofRequest = feedsOf(variant.graph, 1, dice)
            for (const { name } of context) if (ofRequest[name]) feeds[name] = ofRequest[name]
            feeds[planNames.requests] = new ort.Tensor('int32', Int32Array.of(0), [1])
            for (const { name, size } of lengths) {
              const { data, dims } = lengthTensor(dice.between(1, size))
              feeds[name] = new ort.Tensor('int64', data, dims)
              counts.blocks += Number(data[0]! > 8n)
            }
            const [expected] = await answersOf(variant.graph, [feeds])
            const actual = await program.run(program.inputs.map(({ name }) => feeds[name] as unknown as ProgramValue))
            const { name } = variant.graph.outputs[0]!
            t.same(Object.keys(actual), [name])
            const apart = distance(expected![name]!.values, actual[name]!.data)
            if (!(apart <= 0.02)) throw new Error(`${count} rows are ${apart} apart`)
          }
        } finally {
          await program.close()
        }
      }
    }),
    { numRuns: randomCases(60), seed: steadySeed },
  )
  const { opened, cached, blocks } = counts
  t.ok(opened > randomCases(30) && cached > randomCases(5) && blocks > randomCases(30), JSON.stringify(counts))
})
