import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { compile } from '../../../src/model/compile/compile.ts'
import type { VariantGraph } from '../../../src/model/compile/sides/contract.ts'
import { planNames } from '../../../src/model/compile/sides/tensor-names.ts'
import { openProgram, type ProgramValue } from '../../../src/model/onednn/open-program.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { Dice } from '../../support/compile/dice.ts'
import { prepared } from '../../support/compile/law.ts'
import { distance } from '../../support/compile/random-model.ts'
import { randomTowers } from '../../support/compile/random-towers.ts'
import { answersOf, type Feeds, feedsOf } from '../../support/compile/run-graph.ts'
import { withoutOnednn } from '../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

/** int8 leaves products of floats in float32. */
const options = { precision: 'int8', requests: planNames.requests, leastWeights: 1 } as const

/** Random values for the inputs of a graph, for requests with these numbers of rows. */
function feedsFor({ graph, context }: VariantGraph, requests: readonly number[], dice: Dice): Feeds {
  const rows = requests.reduce((sum, count) => sum + count, 0)
  const [ofRows, ofRequests] = [feedsOf(graph, rows, dice), feedsOf(graph, requests.length, dice)]
  const feeds = { ...ofRows }
  for (const { name } of context) if (ofRequests[name]) feeds[name] = ofRequests[name]
  const numbers = feeds[planNames.requests]?.data as Int32Array | undefined
  if (numbers) numbers.set(requests.flatMap((count, request) => new Array<number>(count).fill(request)))
  return feeds
}

t.test('graphs of towers answer as in ONNX Runtime, which computes their leading parts', { skip }, async (t) => {
  const opened = { translated: 0, behind: 0, left: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const { graph, sides } = randomTowers(seed)
      const { float32 } = await compile(await prepared(graph), { sides, fields: {}, quantization: undefined })
      const { full, split } = float32
      const variants =
        typeof split === 'string'
          ? [full]
          : [full, split.shared_context, split.candidate_encoder, split.context_encoder, split.cached]
      for (const variant of variants) {
        if (variant === undefined) continue
        await writeFile(join(folder, 'graph.onnx'), variant.graph.toBytes())
        const file = { file: 'graph.onnx', context: variant.context, rows: variant.rows }
        const program = await openProgram(folder, file, options)
        if (typeof program === 'string') {
          opened.left++
          continue
        }
        try {
          for (const requests of [[1], [3], [2, 1, 6]]) {
            const feeds = feedsFor(variant, requests, new Dice(seed))
            const [expected] = await answersOf(variant.graph, [feeds])
            const actual = await program.run(program.inputs.map(({ name }) => feeds[name] as unknown as ProgramValue))
            for (const { name } of variant.graph.outputs) {
              const apart = distance(expected![name]!.values, actual[name]!.data)
              if (!(apart <= 1e-4)) throw new Error(`${name} is ${apart} apart`)
            }
          }
          opened[program.reason === undefined ? 'translated' : 'behind']++
        } finally {
          await program.close()
        }
      }
    }),
    { numRuns: 60 },
  )
  t.ok(opened.behind > 50 && opened.translated > 5, JSON.stringify(opened))
})
