import t from 'tap'
import { type AttentionModel, attentionGraph } from '../../../loadtest/competitors/attention.ts'
import { createReference, largestDifference } from '../../../loadtest/competitors/check.ts'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'

const model: AttentionModel = {
  name: 'little',
  sparse: { fields: 5, context: 4, ids: 6, history: 3 },
  dense: { fields: 2, context: 1 },
  embedding: 2,
  unit: [4],
  hidden: 8,
}
/** Ids of the user, the history, of which 6 is padding, and the candidate. */
const rows = [
  [0, 7, 9, 11, 8],
  [3, 7, 6, 6, 11],
  [5, 6, 6, 6, 7],
  [5, 6, 10, 6, 7],
]
const numbers = [
  [0.5, -1],
  [1.5, 0],
  [-0.5, 2],
  [-0.5, 2],
]

/** The answers by the definition. */
function answersOf(graph: Graph): number[] {
  const vectorOf = (id: number) => [...graph.floats('table')!.subarray(2 * id, 2 * id + 2)]
  const layer = (x: number[], suffix: string) => {
    const [kernel, bias] = [graph.floats(`kernel${suffix}`)!, graph.floats(`bias${suffix}`)!]
    return Array.from(bias, (b, n) => x.reduce((sum, value, k) => sum + value * kernel[k * bias.length + n]!, b))
  }
  const relu = (x: number[]) => x.map((value) => Math.max(0, value))
  return rows.flatMap(([user, a, b, c, item], row) => {
    const q = vectorOf(item!)
    const pooled = [0, 0]
    for (const id of [a!, b!, c!]) {
      if (id === 6) continue
      const k = vectorOf(id)
      const pair = [...k, ...q, ...k.map((value, i) => value - q[i]!), ...k.map((value, i) => value * q[i]!)]
      const [weight] = layer(relu(layer(pair, '')), ':1')
      for (const i of [0, 1]) pooled[i]! += weight! * k[i]!
    }
    const x = [...pooled, ...vectorOf(user!), ...q, ...numbers[row]!]
    return layer(relu(layer(x, ':2')), ':3').map((logit) => 1 / (1 + Math.exp(-logit)))
  })
}

t.test('the graph is a DIN whose weights are masked, and not normalised', async (t) => {
  const graph = attentionGraph(model, 2, 1)
  const expected = answersOf(graph)
  const answers = await createReference(graph.toBytes(), model)
  const got = await answers({ rows: rows.length, sparse: Int32Array.from(rows.flat()), dense: numbers.flat() })
  t.ok(largestDifference(got, expected) < 1e-6)
  t.ok(largestDifference(got.slice(4, 6), got.slice(6)) > 1e-3, 'one more item shows')
})

t.test('weights follow from the seed', async (t) => {
  const bytes = (seed: number) => Buffer.from(attentionGraph(model, 2, seed).toBytes())
  t.ok(bytes(1).equals(bytes(1)))
  t.notOk(bytes(1).equals(bytes(2)))
})
