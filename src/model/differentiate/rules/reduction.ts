import { positive } from '../../base/dims.ts'
import { intAttribute, intsAttribute } from '../../graph/attributes.ts'
import { TensorProto_DataType as DataType } from '../../graph/onnx_pb.ts'
import { type Application, type Rule, unary } from '../rule.ts'

/** The axes that a reduction sums over, counted from 0; all where it names none. */
function axesOf({ append, node }: Application): number[] {
  const rank = append.dims(node.input[0]!).length
  const listed = node.input[1] ? append.graph.integersOf(node.input[1]) : intsAttribute(node, 'axes')
  if (node.input[1] && listed === undefined) throw new Error('its axes are computed')
  if ((listed === undefined || listed.length === 0) && intAttribute(node, 'noop_with_empty_axes', 0)) return []
  return listed?.length ? listed.map((axis) => positive(axis, rank)) : Array.from({ length: rank }, (_, axis) => axis)
}

/** g, repeated over what was summed. */
function repeated(application: Application, gradient: string): string {
  const { append, node } = application
  const x = node.input[0]!
  const axes = axesOf(application)
  const dims = append.dims(x)
  const kept = dims.map((side, axis) => (axes.includes(axis) ? 1 : side))
  const unsqueezed =
    append.dims(gradient).length === dims.length || axes.length === 0
      ? gradient
      : append.op('Unsqueeze', [gradient, append.graph.integers(axes)], kept)
  const shape = append.node('Shape', [x], { dtype: DataType.INT64, dims: [dims.length] })
  return append.op('Expand', [unsqueezed, shape], dims)
}

const sum = unary((application) => repeated(application, application.gradient))

/** g divided by the number of elements, which may grow with the batch. */
const mean = unary((application, x, y) => {
  const { append, gradient } = application
  return repeated(application, append.multiply(gradient, append.divide(append.sizeOf(y), append.sizeOf(x))))
})

export const reductionRules: Record<string, Rule> = { ReduceMean: mean, ReduceSum: sum }
