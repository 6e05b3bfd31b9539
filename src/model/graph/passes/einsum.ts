import { product } from '../../../base/arrays.ts'
import { attribute } from '../ir/attributes.ts'
import type { Graph } from '../ir/graph.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { floatShape, type TensorShape } from '../ir/tensor-shape.ts'

/**
 * A sum of products within rows of the batch, as a matrix product: by a constant, `bk,ekh->beh` is [batch, K]·[K, E·H];
 * of two computed tensors, `be,beh->bh` is [batch, 1, E]·[batch, E, H]. One letter is summed over.
 *
 * Adds its nodes and returns its name; undefined, without a change, for any other equation.
 */
export function matMulOfEinsum(graph: Graph, node: NodeProto): string | undefined {
  const equation = new TextDecoder().decode(attribute(node, 'equation')?.s).replaceAll(' ', '')
  const form = /^(\w+),(\w+)->(\w+)$/.exec(equation)
  const shape = graph.shapes.get(node.output[0]!)
  if (form === null || shape === undefined) return undefined
  const [a, b, out] = form.slice(1) as [string, string, string]
  if (![a, b, out].every((letters) => new Set(letters).size === letters.length)) return undefined
  const summed = [...a].filter((letter) => b.includes(letter) && !out.includes(letter))
  if (summed.length !== 1) return undefined
  const [x, y] = node.input as [string, string]
  const operands = [
    { name: x, letters: a, own: [...a].filter((letter) => !b.includes(letter)) },
    { name: y, letters: b, own: [...b].filter((letter) => !a.includes(letter)) },
  ] as [Operand, Operand]
  if (graph.floats(x) !== undefined) operands.reverse()
  const lower = graph.floats(operands[1].name) === undefined ? computed : byConstant
  return lower(graph, operands, summed[0]!, { letters: out, shape })
}

/** [batch, K]·[K, …], the constant's own dimensions in the order of the output. */
function byConstant(graph: Graph, [rows, weights]: [Operand, Operand], k: string, out: Answer): string | undefined {
  const [batch] = rows.own
  const own = [...out.letters.slice(1)]
  if (rows.letters !== `${batch}${k}` || out.letters[0] !== batch || own.length !== weights.own.length) return undefined
  if (graph.shapes.get(rows.name)?.dims[0] !== -1) return undefined
  const dims = graph.dimsOf(weights.name)!
  const perm = [k, ...own].map((letter) => weights.letters.indexOf(letter))
  const [depth, ...sides] = perm.map((axis) => dims[axis]!) as [number, ...number[]]
  const n = product(sides)
  const kernel = graph.constant(`${weights.name}/matrix`, permute(graph.floats(weights.name)!, dims, perm), [depth, n])
  const matMul = graph.node('MatMul', [rows.name, kernel], { shape: floatShape(-1, n) })
  if (own.length === 1) return matMul
  return graph.node('Reshape', [matMul, graph.integers(out.shape.dims)], { shape: out.shape })
}

/** [batch, …, K]·[batch, K, …]; each operand has at most one letter of its own. */
function computed(graph: Graph, operands: [Operand, Operand], k: string, out: Answer): string | undefined {
  const batch = out.letters[0]!
  const own = operands.map((operand) => operand.own)
  // Every letter has a role, and only the batch is in both operands and the output.
  const placed = operands.every(
    ({ letters, own }) => letters[0] === batch && own.length <= 1 && letters.length === 2 + own.length,
  )
  if (!placed || out.letters.length !== 1 + own.flat().length) return undefined
  if (!own.flat().every((letter) => out.letters.includes(letter))) return undefined
  const dims = operands.map(({ name }) => graph.shapes.get(name)?.dims)
  if (dims.some((sides) => sides?.[0] !== -1 || sides.slice(1).some((side) => side < 0))) return undefined

  const [[left], [right]] = own as [string[], string[]]
  const both = left !== undefined && right !== undefined
  if (both && out.letters.indexOf(left) > out.letters.indexOf(right)) operands.reverse()
  const [rows, columns] = operands
  const x = matrix(graph, rows, [rows.own[0], k])
  const y = matrix(graph, columns, [k, columns.own[0]])
  const matMul = graph.node('MatMul', [x.name, y.name], { shape: floatShape(-1, x.dims[1]!, y.dims[2]!) })
  return both ? matMul : graph.node('Reshape', [matMul, graph.integers(out.shape.dims)], { shape: out.shape })
}

interface Operand {
  name: string
  letters: string
  /** Letters that the other operand lacks. */
  own: string[]
}

interface Answer {
  letters: string
  shape: TensorShape
}

/** An operand as [batch, …, …], its dimensions in this order; a missing one is 1. */
function matrix(graph: Graph, { name, letters }: Operand, order: (string | undefined)[]) {
  const { dims } = graph.shapes.get(name)!
  const sides = [-1, ...order.map((letter) => (letter === undefined ? 1 : dims[letters.indexOf(letter)]!))]
  const shape = floatShape(...sides)
  if (letters.length < 3) return { name: graph.node('Reshape', [name, graph.integers(sides)], { shape }), dims: sides }
  const perm = [0, ...order.map((letter) => letters.indexOf(letter!))]
  if (perm[1] === 1) return { name, dims: sides }
  return { name: graph.node('Transpose', [name], { attributes: { perm }, shape }), dims: sides }
}

/*
 * Constants in another layout; all are row-major.
 */

/** Transposes: dimension `perm[i]` becomes dimension i. */
export function permute(values: Float32Array, dims: readonly number[], perm: readonly number[]): Float32Array {
  const strides = stridesOf(dims)
  return gather(
    values,
    perm.map((axis) => dims[axis]!),
    perm.map((axis) => strides[axis]!),
  )
}

/** Broadcasts to these dimensions, as element-wise operators do; undefined if that is impossible. */
export function broadcast(values: Float32Array, dims: readonly number[], sides: readonly number[]) {
  const missing = sides.length - dims.length
  if (missing < 0 || dims.some((side, i) => side !== 1 && side !== sides[missing + i])) return undefined
  const strides = stridesOf(dims)
  const steps = sides.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : strides[i - missing]!))
  return gather(values, sides, steps)
}

function gather(values: Float32Array, sides: readonly number[], steps: readonly number[]): Float32Array {
  return Float32Array.from({ length: product(sides) }, (_, place) => {
    let from = 0
    for (let i = sides.length - 1, rest = place; i >= 0; i--) {
      from += (rest % sides[i]!) * steps[i]!
      rest = Math.floor(rest / sides[i]!)
    }
    return values[from]!
  })
}

function stridesOf(dims: readonly number[]): number[] {
  return dims.map((_, i) => product(dims.slice(i + 1)))
}
