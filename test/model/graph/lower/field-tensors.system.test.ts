import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { joinTensors } from '../../../../src/model/graph/lower/concatenate.ts'
import { answersOf, answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'

/** A graph that answers its inputs as floats: ids [batch, 3], a mask, the number of values, and another id. */
function graphOf(mask: number, lengths: readonly number[], opset = 17) {
  const graph = emptyGraph(
    {
      hist: { dtype: DataType.INT64, dims: [-1, 3] },
      mask: { dtype: mask, dims: [-1, 3] },
      lengths: { dtype: DataType.INT64, dims: [-1, ...lengths] },
      user: { dtype: DataType.INT64, dims: [-1] },
    },
    opset,
  )
  for (const { name } of graph.inputs) {
    const outputs = [`${name}_answer`]
    graph.node('Cast', [name], { attributes: { to: DataType.FLOAT }, outputs })
    answerWith(graph, outputs[0]!)
  }
  return graph
}

/** The columns of callers: user, another column, then three of the list, in which 9 is padding. */
const inputs = {
  all: {
    dtype: 'int32' as const,
    tensors: [],
    columns: [1],
    fields: {
      width: 5,
      tensors: [
        { tensor: 'user', first: 0, width: 1, is: 'values' as const },
        { tensor: 'hist', first: 2, width: 3, is: 'values' as const },
        { tensor: 'mask', first: 2, width: 3, is: 'mask' as const, padding: 9 },
        { tensor: 'lengths', first: 2, width: 3, is: 'lengths' as const, padding: 9 },
      ],
    },
  },
}
const feeds = { all: new ort.Tensor('int32', Int32Array.of(4, 0, 7, 8, 9, 5, 0, 9, 9, 9), [2, 5]) }

t.test('masks and numbers of values follow from ids, in any type and shape', async (t) => {
  for (const mask of [DataType.BOOL, DataType.FLOAT, DataType.INT64])
    for (const lengths of [[], [1]])
      for (const opset of [11, 17]) {
        const graph = graphOf(mask, lengths, opset)
        joinTensors(graph, { inputs, outputs: {} }, 'a.onnx')
        t.same(
          graph.inputs.map(({ name }) => name),
          ['all'],
        )
        const [answers] = await answersOf(reread(graph), [feeds])
        t.same([...answers!.hist_answer!.values], [7, 8, 9, 9, 9, 9])
        t.same([...answers!.mask_answer!.values], [1, 1, 0, 0, 0, 0])
        t.same([...answers!.lengths_answer!.values], [2, 0])
        t.same(answers!.lengths_answer!.dims, [2, ...lengths])
        t.same([...answers!.user_answer!.values], [4, 5])
      }
})

t.test('columns that do not follow each other are gathered', async (t) => {
  const graph = emptyGraph({
    ids: { dtype: DataType.INT64, dims: [-1, 2] },
    hist: { dtype: DataType.INT64, dims: [-1, 3] },
  })
  graph.node('Cast', ['ids'], { attributes: { to: DataType.FLOAT }, outputs: ['answer'] })
  graph.node('Cast', ['hist'], { attributes: { to: DataType.FLOAT }, outputs: ['other'] })
  answerWith(graph, 'answer', 'other')
  const tensors = [{ tensor: 'hist', first: 1, width: 3, is: 'values' as const }]
  const all = { dtype: 'int32' as const, tensors: ['ids'], columns: [0, 4], fields: { width: 5, tensors } }
  joinTensors(graph, { inputs: { all }, outputs: {} }, 'a.onnx')
  const [answers] = await answersOf(reread(graph), [feeds])
  t.same([...answers!.answer!.values], [4, 9, 5, 9])
})

t.test('a tensor of another width than its field is refused', async (t) => {
  const graph = graphOf(DataType.BOOL, [])
  const wide = structuredClone(inputs)
  wide.all.fields.tensors[1]!.width = 2
  t.throws(() => joinTensors(graph, { inputs: wide, outputs: {} }, 'a.onnx'), {
    code: 'INVALID_BUNDLE',
    message: 'a.onnx: the input hist has 3 columns, and its field 2',
  })
})
