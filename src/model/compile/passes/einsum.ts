import { attribute, floatShape, type Graph } from '../graph.ts'
import type { NodeProto } from '../onnx_pb.ts'

/**
 * A sum of products of two computed tensors, a row of the batch for itself, as a batched matrix product: `be,beh->bh` is
 * [batch, 1, E]·[batch, E, H]. One letter is summed over, and either operand has one letter of its own at most.
 *
 * Adds what computes it, and answers its name; undefined, and nothing added, for any other equation.
 */
export function matMulOfEinsum(graph: Graph, node: NodeProto): string | undefined {
  const equation = new TextDecoder().decode(attribute(node, 'equation')?.s).replaceAll(' ', '')
  const form = /^(\w+),(\w+)->(\w+)$/.exec(equation)
  const shape = graph.shapes.get(node.output[0]!)
  if (form === null || shape === undefined) return undefined
  const [a, b, out] = form.slice(1) as [string, string, string]
  const batch = out[0]!
  if (![a, b, out].every((letters) => letters[0] === batch && new Set(letters).size === letters.length))
    return undefined

  const [first, ...more] = [...a].filter((letter) => b.includes(letter) && !out.includes(letter))
  const own = [a, b].map((letters, i) => [...letters].filter((letter) => ![a, b][1 - i]!.includes(letter)))
  if (first === undefined || more.length > 0 || own.some((letters) => letters.length > 1)) return undefined
  const [[left], [right]] = own as [string[], string[]]
  // Every letter has its place, and none but the batch is in both operands and the answer.
  if (a.length !== 2 + own[0]!.length || b.length !== 2 + own[1]!.length) return undefined
  if (out.length !== 1 + own.flat().length || !own.flat().every((letter) => out.includes(letter))) return undefined

  const operands = [
    { name: node.input[0]!, letters: a, own: left },
    { name: node.input[1]!, letters: b, own: right },
  ]
  const dims = operands.map(({ name }) => graph.shapes.get(name)?.dims)
  if (dims.some((sides) => sides?.[0] !== -1 || sides.slice(1).some((side) => side < 0))) return undefined
  if (left !== undefined && right !== undefined && out.indexOf(left) > out.indexOf(right)) operands.reverse()
  const [rows, columns] = operands as [Operand, Operand]
  const x = matrix(graph, rows, [rows.own, first])
  const y = matrix(graph, columns, [first, columns.own])
  const product = graph.node('MatMul', [x.name, y.name], { shape: floatShape(-1, x.dims[1]!, y.dims[2]!) })
  if (left !== undefined && right !== undefined) return product
  return graph.node('Reshape', [product, graph.integers(shape.dims)], { shape })
}

interface Operand {
  name: string
  letters: string
  /** The letter that the other operand lacks. */
  own: string | undefined
}

/** An operand as [batch, …, …], its sides in that order; one that it lacks is 1. */
function matrix(graph: Graph, { name, letters }: Operand, order: (string | undefined)[]) {
  const { dims } = graph.shapes.get(name)!
  const sides = [-1, ...order.map((letter) => (letter === undefined ? 1 : dims[letters.indexOf(letter)]!))]
  const shape = floatShape(...sides)
  if (letters.length < 3) return { name: graph.node('Reshape', [name, graph.integers(sides)], { shape }), dims: sides }
  const perm = [0, ...order.map((letter) => letters.indexOf(letter!))]
  if (perm[1] === 1) return { name, dims: sides }
  return { name: graph.node('Transpose', [name], { attributes: { perm }, shape }), dims: sides }
}
