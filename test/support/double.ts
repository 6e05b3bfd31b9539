import { create } from '@bufbuild/protobuf'
import { floatAttribute } from '../../src/model/graph/ir/attributes.ts'
import { floatsOf } from '../../src/model/graph/ir/constants.ts'
import type { Graph } from '../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  type NodeProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../../src/model/graph/ir/onnx_pb.ts'

/** A graph's model with every float32 tensor made a float64 one, to be computed with twice as many digits. */
export function inDouble(graph: Graph): ModelProto {
  const wide = graph.copy()
  for (const node of [...wide.nodes]) writeOut(wide, node)
  const model = wide.toModel()
  const { node, initializer, input, output } = model.graph!
  for (const value of [...input, ...output]) widen(value)
  for (const { attribute: attributes, opType } of node)
    if (opType === 'Cast')
      for (const to of attributes) if (to.i === BigInt(DataType.FLOAT)) to.i = BigInt(DataType.DOUBLE)
  initializer.forEach((tensor, i) => {
    const values = floatsOf(tensor)
    if (values === undefined) return
    const rawData = new Uint8Array(Float64Array.from(values).buffer)
    initializer[i] = create(TensorProtoSchema, {
      name: tensor.name,
      dims: tensor.dims,
      dataType: DataType.DOUBLE,
      rawData,
    })
  })
  return model
}

/** Operators that ONNX Runtime has for float32 alone, in those that it has for both. */
function writeOut(graph: Graph, node: NodeProto): void {
  const [x] = node.input as [string]
  const number = (value: number) => graph.constant('number', Float32Array.of(value), [])
  const written: Record<string, () => [opType: string, inputs: string[]]> = {
    Elu: () => {
      const below = graph.node('Sub', [graph.node('Exp', [x]), number(1)])
      const scaled = graph.node('Mul', [below, number(floatAttribute(node, 'alpha', 1))])
      return ['Where', [graph.node('Greater', [x, number(0)]), x, scaled]]
    },
    // 2/√π · Σ (−1)ⁿ x²ⁿ⁺¹ ÷ (n! (2n + 1)), by Horner's rule.
    Erf: () => {
      const square = graph.node('Mul', [x, x])
      let sum = number(0)
      for (let n = 40; n > 0; n--) {
        const next = graph.node('Mul', [graph.node('Add', [sum, number(1 / (2 * n + 1))]), square])
        sum = graph.node('Mul', [next, number(-1 / n)])
      }
      return ['Mul', [graph.node('Mul', [graph.node('Add', [sum, number(1)]), x]), number(2 / Math.sqrt(Math.PI))]]
    },
    Mean: () => ['Div', [graph.node('Sum', node.input), number(node.input.length)]],
    Softplus: () => ['Log', [graph.node('Add', [graph.node('Exp', [x]), number(1)])]],
  }
  const rewrite = written[node.opType]
  if (rewrite === undefined) return
  const [opType, input] = rewrite()
  Object.assign(node, { opType, input, attribute: [] })
  graph.touch()
}

function widen(value: ValueInfoProto): void {
  const type = value.type?.value
  if (type?.case === 'tensorType' && type.value.elemType === DataType.FLOAT) type.value.elemType = DataType.DOUBLE
}
