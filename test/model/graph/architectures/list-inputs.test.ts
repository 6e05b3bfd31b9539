import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { buildArchitecture, graphOutputs } from '../../../../src/model/graph/architectures/build.ts'
import { sequenceBoxes } from '../../../../src/model/graph/architectures/diagram.ts'
import type { ModelShape } from '../../../../src/model/graph/architectures/layers.ts'
import type { SequenceShape } from '../../../../src/model/graph/architectures/list-inputs.ts'
import { optimise, passReport } from '../../../../src/model/graph/compile/optimise.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { lowerToGraph } from '../../../../src/model/graph/lower/layers/lower-layers.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { answersOf } from '../../../support/compile/run-graph.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'

/* An item and a user, eight viewed items and their ages, three tags with weights, and an image of two numbers. */

const [viewed, ids, padding] = [8, 12, 11]
const sides = {
  sparse: ['candidate', 'context', ...Array(viewed).fill('context'), ...Array(3).fill('candidate')],
  dense: [...Array(viewed).fill('context'), ...Array(3).fill('candidate'), 'candidate', 'candidate', 'context'],
}
const sequence = {
  ...{ name: 'views', side: 'cross', max: viewed, mask: { column: 2, padding } },
  ...{ compared: [{ ids: 2, target: 0 }], more: [{ numbers: 0 }] },
}
const shape = {
  ...{ sparseFields: 2 + viewed + 3, denseFields: viewed + 3 + 2 + 1, ids, sides, tasks: ['a', 'b'], seed: 4 },
  groups: {
    ids: [0, 1],
    numbers: [viewed + 5],
    vectors: [{ name: 'image', side: 'candidate', column: viewed + 3, length: 2 }],
    lists: [
      {
        ...{ name: 'tags', side: 'candidate', max: 3, values: { ids: 2 + viewed }, pooling: 'sqrt_n', weights: viewed },
        mask: { column: 2 + viewed, padding },
      },
    ],
    sequences: [],
  },
} as unknown as ModelShape

const withSequence = (options: SequenceShape['options']): ModelShape => ({
  ...shape,
  groups: {
    ...shape.groups!,
    sequences: [
      { ...sequence, ...(options.attention === 'time_decay' && { more: [], ages: 0 }), options } as SequenceShape,
    ],
  },
})
const architecture: ArchitectureOptions = {
  ...{ name: 'multi_gate', dim_emb: 6, embedding_l2: 0, num_experts: 2, dims_expert: [8], num_hidden_expert: 1 },
  ...{ dim_hidden_expert: 8, dropout_expert: 0, num_hidden_tasks: 2, dim_hidden_tasks: 4, dropout_tasks: 0 },
}

function graphOf(
  shape: ModelShape,
  options = architecture,
  change: (table: Float32Array) => void = () => undefined,
): Graph {
  const model = buildArchitecture(options, shape)
  const { data } = model.weights.get('embedding/embeddings')!
  change(new Float32Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 4))
  return lowerToGraph(model, [graphOutputs(options, shape.tasks).probabilities])
}

/** Rows whose lists have no value, some, or as many as they may. */
function feeds() {
  const dice = new Dice(3)
  const rows = 6
  const sparse: number[] = []
  for (let row = 0; row < rows; row++) {
    const lists = [viewed, 3].map((max, i) =>
      Array.from({ length: max }, (_, j) => (j < (((row + i) % 3) * max) / 2 ? dice.below(padding) : padding)),
    )
    sparse.push(dice.below(padding), dice.below(padding), ...lists.flat())
  }
  const dense = dice.floats(rows * shape.denseFields).map(Math.abs)
  return {
    sparse: new ort.Tensor('int32', Int32Array.from(sparse), [rows, shape.sparseFields]),
    dense: new ort.Tensor('float32', dense, [rows, shape.denseFields]),
  }
}

const attentions: SequenceShape['options'][] = [
  { attention: 'din', dims: [16, 4] },
  { attention: 'multi_head', heads: 2, dim: 3 },
  { attention: 'dot_product' },
  { attention: 'time_decay', heads: 2, half_lives: [1, 4] },
]

for (const options of attentions) {
  const { attention } = options
  t.test(`${attention}: no row of the table is read for padding`, async (t) => {
    const answers = async (change?: (table: Float32Array) => void) => {
      const [answers] = await answersOf(graphOf(withSequence(options), architecture, change), [feeds()])
      return Array.from(answers!.probabilities!.values)
    }
    const before = await answers()
    t.ok(before.every((p) => p > 0 && p < 1))
    t.same(await answers((table) => table.fill(1000, padding * 6)), before)
    t.notSame(await answers((table) => table.fill(1000, 0, 6)), before)
  })

  t.test(`${attention}: what the history alone decides is computed once per request`, async (t) => {
    const graph = graphOf(withSequence(options))
    await optimise(graph)
    const plans = splitSides(graph, shape.sides as never)
    if (typeof plans === 'string') throw new Error(plans)
    const whole = passReport(graph, '', 0).multiplications
    const { multiplications, multiplications_once: once } = passReport(plans.shared_context!.graph, '', 0)
    t.ok(multiplications < whole && once! > 0, `${multiplications} and ${once} once, of ${whole}`)
    // DIN's network meets each candidate; projections and products of the others hardly.
    t.ok(multiplications < 0.85 * whole, `${multiplications} of ${whole}`)
    t.equal(await breachOfPlans(graph, shape.sides as never, plans, new Dice(1)), undefined)
  })
}

t.test('experts of one side read its lists and vectors alone', async (t) => {
  const options = { ...architecture, num_experts_candidate: 1, num_experts_context: 1 }
  const { layers } = buildArchitecture(options, withSequence({ attention: 'dot_product' }))
  const parts = (name: string) => layers.get(name)!.applications[0]!.map(({ layer }) => layer)
  t.same(parts('features_candidate'), [
    'embedding_candidate/flat_0',
    'features_candidate/tags',
    'dense_embedding_candidate/image',
  ])
  t.same(parts('features_context'), ['embedding_context/flat_1', 'dense_embedding_context'])
})

t.test('graphs without lists have none of their layers', async (t) => {
  const { groups: _, ...plain } = shape
  const { layers } = buildArchitecture(architecture, plain)
  t.notOk([...layers.values()].some(({ className }) => className.startsWith('multigate>')))
})

t.test('a drawing says how a sequence is read', async (t) => {
  const sequences = [
    { name: 'views', attention: 'din', target: ['item', 'shop'] },
    { name: 'searches', attention: 'none' },
  ]
  t.same(sequenceBoxes(sequences, ['fields']), [
    { id: 'sequence views', title: 'Sequence views', note: 'din: compared with item, shop', reads: ['fields'] },
    { id: 'sequence searches', title: 'Sequence searches', note: 'none: pooled', reads: ['fields'] },
  ])
})
