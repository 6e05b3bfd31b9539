import t from 'tap'
import { changeEach } from '../../../../src/model/graph/compile/compiled-graph.ts'
import { optimise } from '../../../../src/model/graph/compile/optimise.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { joinPairProducts } from '../../../../src/model/graph/sides/pair-products.ts'
import type { Side, SplitGraphs } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { fullVariant } from '../../../../src/model/graph/sides/tensor-names.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { prepared } from '../../../support/compile/law.ts'
import { answerWith, emptyGraph, vocabulary } from '../../../support/compile/run-graph.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'

const [length, dim] = [3, 2]

t.test('a product of the candidate for each item is no product for each unit', async (t) => {
  const dice = new Dice(1)
  const graph = emptyGraph({
    hist: { dtype: DataType.INT64, dims: [-1, length] },
    item: { dtype: DataType.INT64, dims: [-1, 1] },
  })
  const floats = (...dims: number[]) => graph.constant('weights', dice.floats(dims.reduce((a, b) => a * b)), dims)
  const table = floats(vocabulary, dim)
  const [keys, query] = ['hist', 'item'].map((ids) => graph.node('Gather', [table, ids])) as [string, string]
  const pairs = graph.node('Concat', [keys, graph.node('Mul', [keys, query])], { attributes: { axis: 2 } })
  // As many units as items: [batch, length, units] and [batch, length, 1].
  const unit = graph.node('MatMul', [pairs, floats(2 * dim, length)])
  const ofItem = graph.node('Transpose', [graph.node('MatMul', [query, floats(dim, length)])], {
    attributes: { perm: [0, 2, 1] },
  })
  const scores = graph.node('MatMul', [
    graph.node('Relu', [graph.node('Add', [unit, ofItem])]),
    graph.constant('ones', new Float32Array(length).fill(1), [length, 1]),
  ])
  const pooled = graph.node('ReduceSum', [graph.node('Mul', [scores, keys]), graph.integers([1])], {
    attributes: { keepdims: 0 },
  })
  answerWith(graph, graph.node('Sigmoid', [graph.node('MatMul', [pooled, floats(dim, 1)])]))
  const sides = { hist: new Array<Side>(length).fill('context'), item: ['candidate' as const] }
  const read = await prepared(graph)
  await optimise(read)
  const split = splitSides(read, sides)
  const joined = changeEach({ full: fullVariant(read), split }, joinPairProducts).split as SplitGraphs
  t.equal(joined.shared_context!.oneRequest, true)
  t.equal(await breachOfPlans(graph, sides, joined, dice), undefined)
})
