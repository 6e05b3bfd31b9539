import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { compile } from '../../../../src/model/graph/compile/compile.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import type { InputRows } from '../../../../src/model/graph/int8/observe-ranges.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import type { ProgramValue } from '../../../../src/model/graph/onednn/create-program.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import type { Side, Sides, VariantGraph } from '../../../../src/model/graph/sides/split-graphs.ts'
import { planNames } from '../../../../src/model/graph/sides/tensor-names.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { attentions, randomAttention } from '../../../support/compile/random-attention.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { randomTowers } from '../../../support/compile/random-towers.ts'
import { costsFor } from '../../../support/compile/random-traffic.ts'
import { answersOf, answerWith, emptyGraph, type Feeds, feedsOf } from '../../../support/compile/run-graph.ts'
import { withoutBfloat16, withoutInt8 } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const without = { bfloat16: withoutBfloat16(), int8: withoutInt8() }
const skip = without.int8 ?? false
const sessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const

/** int8 leaves products of floats in float32. */
const options = { precision: 'int8', requests: planNames.requests, leastWeights: 1 } as const

/** Random values for the inputs of a graph, for requests with these numbers of rows. */
function feedsFor({ graph, context }: VariantGraph, requests: readonly number[], dice: Dice): Feeds {
  const rows = requests.reduce((sum, count) => sum + count, 0)
  const [ofRows, ofRequests] = [feedsOf(graph, rows, dice), feedsOf(graph, requests.length, dice)]
  const feeds = { ...ofRows }
  for (const { name } of context) if (ofRequests[name]) feeds[name] = ofRequests[name]
  if (feeds[planNames.requests]) {
    // A single number stands for a single request.
    const all = requests.flatMap((count, request) => new Array<number>(count).fill(request))
    const numbers = Int32Array.from(requests.length === 1 ? [0] : all)
    feeds[planNames.requests] = new ort.Tensor('int32', numbers, [numbers.length])
  }
  return feeds
}

t.test(
  'graphs of towers and attention answer as in ONNX Runtime, which computes their leading parts',
  { skip },
  async (t) => {
    const opened = { translated: 0, behind: 0, left: 0, oneRequest: 0 }
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const attends = () => randomAttention(new Dice(seed), 1, seed % 2 ? attentions : ['DIN'])
        const { graph, sides } = seed % 3 === 0 ? attends() : randomTowers(seed)
        const { float32 } = await compile(await prepared(graph), { sides, fields: {}, quantization: undefined })
        const { full, split } = float32
        const variants =
          typeof split === 'string'
            ? [full]
            : [full, split.shared_context, split.candidate_encoder, split.context_encoder, split.cached]
        for (const variant of variants) {
          if (variant === undefined) continue
          await writeFile(join(folder, 'graph.onnx'), variant.graph.toBytes())
          const { context, rows, oneRequest } = variant
          const file = { file: 'graph.onnx', context, rows, ...(oneRequest && { oneRequest }) }
          const program = await openProgram(folder, file, options)
          if (typeof program === 'string') {
            opened.left++
            continue
          }
          try {
            for (const requests of oneRequest ? [[1], [3]] : [[1], [3], [2, 1, 6]]) {
              const feeds = feedsFor(variant, requests, new Dice(seed))
              const [expected] = await answersOf(variant.graph, [feeds])
              const actual = await program.run(program.inputs.map(({ name }) => feeds[name] as unknown as ProgramValue))
              for (const { name } of variant.graph.outputs) {
                const apart = distance(expected![name]!.values, actual[name]!.data)
                if (!(apart <= 1e-4)) throw new Error(`${name} is ${apart} apart`)
              }
            }
            opened[program.reason === undefined ? 'translated' : 'behind']++
            opened.oneRequest += Number(oneRequest === true)
          } finally {
            await program.close()
          }
        }
      }),
      { numRuns: randomCases(60), seed: steadySeed },
    )
    const { behind, translated, oneRequest } = opened
    t.ok(behind > randomCases(50) && translated > randomCases(5) && oneRequest > 0, JSON.stringify(opened))
  },
)

/** A user's last items, pooled and normalised, and layers of the user and a candidate. */
function userTower(): Graph {
  const [steps, dim, width] = [5, 8, 128] as const
  const dice = new Dice(3)
  const graph = emptyGraph({ ids: { dtype: DataType.INT64, dims: [-1, steps + 1] }, dense: floatShape(-1, 2) })
  const weights = (k: number, n: number) => graph.constant('kernel', dice.floats(k * n, 2 / Math.sqrt(k)), [k, n])
  const dense = (x: string, k: number, n: number) =>
    graph.node('Gemm', [x, weights(k, n), graph.constant('bias', dice.floats(n), [n])])
  // Large enough for a file of its own.
  const table = graph.constant('table', dice.floats(5000 * dim), [5000, dim])
  const columns = (from: number, to: number) =>
    graph.node('Slice', ['ids', ...[[from], [to], [1]].map((list) => graph.integers(list))])
  const items = graph.node('Gather', [table, columns(0, steps)])
  const mean = graph.node('ReduceMean', [items], { attributes: { axes: [1], keepdims: 0 } })
  const scale = graph.constant('scale', new Float32Array(dim).fill(1), [dim])
  const user = graph.node('LayerNormalization', [mean, scale])
  const candidate = graph.node('Flatten', [graph.node('Gather', [table, columns(steps, steps + 1)])])
  const x = graph.node('Concat', [user, candidate, 'dense'], { attributes: { axis: 1 } })
  const first = graph.node('Relu', [dense(x, 2 * dim + 2, width)])
  const second = graph.node('Relu', [dense(first, width, width)])
  answerWith(graph, graph.node('Sigmoid', [dense(second, width, 2)], { outputs: ['probabilities'] }))
  return graph
}

t.test('a user tower is computed by ONNX Runtime, and large layers behind it by oneDNN', { skip }, async (t) => {
  const graph = userTower()
  await writeFile(join(folder, 'model.onnx'), graph.toBytes())
  const side = (name: Side, count: number) => new Array<Side>(count).fill(name)
  const rowsOf = (rows: number, seed: number): InputRows => {
    const { ids, dense } = feedsOf(graph, rows, new Dice(seed))
    return {
      rows,
      inputs: { ids: Int32Array.from(ids!.data as BigInt64Array, Number), dense: dense!.data as Float32Array },
    }
  }
  const answersTo = async ({ rows, inputs }: InputRows) => {
    const ids = new ort.Tensor('int64', BigInt64Array.from(inputs.ids as Int32Array, BigInt), [rows, 6])
    const dense = new ort.Tensor('float32', inputs.dense as Float32Array, [rows, 2])
    const [answers] = await answersOf(graph, [{ ids, dense }])
    return answers!.probabilities!.values
  }
  const judged = rowsOf(400, 1)
  const labels = (await answersTo(judged)).map((probability, i) => Number(probability > (i % 10) / 10))
  const request = {
    source: { folder, format: 'onnx' as const, file: 'model.onnx', outputs: ['probabilities'] },
    output: 'probabilities',
    sides: { ids: [...side('context', 5), 'candidate'], dense: ['context', 'candidate'] } as Sides,
    fields: {},
    quantization: { scales: rowsOf(400, 2), judged: { ...judged, labels, tasks: ['ctr', 'cvr'] } },
    identity: '',
    cache: undefined,
    now: 0,
  }
  const batch = rowsOf(40, 3)
  for (let row = 1; row < 40; row++) {
    batch.inputs.ids!.copyWithin(6 * row, 0, 5)
    batch.inputs.dense!.copyWithin(2 * row, 0, 1)
  }
  const expected = await answersTo(batch)
  for (const precision of ['bfloat16', 'int8'] as const) {
    if (without[precision] !== undefined) continue
    const { plan, problem } = await prepare({ ...request, precision })
    if (plan === undefined) throw new Error(problem)
    try {
      t.equal(plan.precision, precision, `${plan.precisionProblem}`)
      t.match(plan.products, /^oneDNN .*, behind a part in ONNX Runtime \(.+\)$/)
      for (const way of ['full', 'shared_context', 'cached'] as const) {
        const open = await openPlan({ ...plan, costs: costsFor(way) }, sessionOptions, 1e6)
        try {
          for (let call = 0; call < 3; call++) {
            const apart = distance(expected, await open.run({ ...batch, requests: [40] }))
            t.ok(apart > 0 && apart < 0.02, `${precision}, ${way}: ${apart}`)
          }
          t.ok(open.stats().rows[way] >= 40, way)
        } finally {
          await open.close()
        }
      }
    } finally {
      await rm(plan.folder, { recursive: true })
    }
  }
})
