import t from 'tap'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { makeTrainingStep } from '../../../../src/tools/train/network/make-training-step.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'

/** A table [5, 2] that two columns are looked up in; with `tied` it is multiplied by the sum, too. */
function tableGraph(tied: boolean) {
  const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1, 2] } })
  const table = graph.constant(
    'table',
    Float32Array.from({ length: 10 }, (_, i) => i / 10),
    [5, 2],
  )
  const rows = [0, 1].map((i) => {
    const place = graph.constant('place', BigInt64Array.of(BigInt(i)), [])
    return graph.node('Gather', [table, graph.node('Gather', ['ids', place], { attributes: { axis: 1 } })])
  })
  const sum = graph.node('Add', rows)
  const kernel = tied
    ? graph.node('Transpose', [table])
    : graph.constant('kernel', new Float32Array(10).fill(0.5), [2, 5])
  answerWith(graph, graph.node('MatMul', [sum, kernel], { outputs: ['logits'] }))
  return graph
}

const planOf = (tied: boolean, trained: string[]) =>
  makeTrainingStep(
    {
      training: tableGraph(tied),
      inference: tableGraph(tied),
      logits: 'logits',
      inputs: { sparse: 'ids', dense: undefined },
      trained: new Set(trained),
      masks: [],
      l2: new Map(),
    },
    {
      terms: Array.from({ length: 5 }, (_, task) => ({ factors: [task], weight: 1 })),
      orderPenalty: 0,
      uncertainty: false,
    },
  )

t.test('look-ups of one table are trained together', async (t) => {
  const { tables, lookUps, parameters } = await planOf(false, ['table', 'kernel'])
  t.same(
    tables.map(({ name }) => name),
    ['table'],
  )
  t.same(
    lookUps.map(({ table, gradient }) => [table, gradient !== undefined]),
    [
      [0, true],
      [0, true],
    ],
  )
  t.same(
    parameters.map(({ name }) => name),
    ['kernel'],
  )
})

t.test('a table that is a weight, too, is not trained', async (t) => {
  await t.rejects(planOf(true, ['table']), {
    code: 'UNSUPPORTED_GRAPH',
    message:
      "the table table can't be trained, since Transpose transpose reads it other than by ids of the batch: freeze it",
  })
  const { tables } = await planOf(true, [])
  t.same(
    tables.map(({ trained }) => trained),
    [false],
  )
})
