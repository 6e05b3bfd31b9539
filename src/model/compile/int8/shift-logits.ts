import type { Graph } from '../../graph/graph.ts'

/** Adds a shift per column to the input of a graph's last sigmoid. */
export function shiftLogits(graph: Graph, shift: Float32Array): void {
  const sigmoid = graph.producer(graph.outputs[0]!.name)
  const logits = sigmoid?.input[0]
  if (sigmoid === undefined || logits === undefined) return
  const product = graph.producer(logits)
  const bias = product?.opType === 'MatMulIntegerToFloat' ? product.input[6] : undefined
  const values = bias === undefined ? undefined : graph.floats(bias)
  if (
    product !== undefined &&
    bias !== undefined &&
    values?.length === shift.length &&
    graph.isPrivate(logits, sigmoid)
  ) {
    const sum = values.map((value, i) => value + shift[i]!)
    product.input = [...product.input.slice(0, 6), graph.constant('bias', sum, [sum.length])]
  } else {
    const shape = graph.shapes.get(logits)
    const shifted = graph.node('Add', [logits, graph.constant('shift', shift, [shift.length])], shape ? { shape } : {})
    sigmoid.input = [shifted]
  }
  graph.touch()
}
