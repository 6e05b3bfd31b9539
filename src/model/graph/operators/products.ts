import { product } from '../../../base/arrays.ts'
import { attribute, floatAttribute, intAttribute } from '../ir/attributes.ts'
import type { Appender } from './appender.ts'
import { absent, type Operator, otherArguments, type Rule, wholeLists } from './operator.ts'
import { multipliedPlaces, rowsByWeights } from './places.ts'

/* Products of matrices. ONNX Runtime fuses a transposition with the product that reads it. */

/**
 * A [… m, k] · B [… k, n] with gradient G [… m, n]: G·Bᵀ and Aᵀ·G, summed over what was repeated.
 *
 * A matrix of weights that many rows share takes all rows in one product.
 */
const matMul: Rule = ({ append, gradient, node, wanted }) => {
  const [a, b] = node.input as [string, string]
  const [left, right] = [append.dims(a), append.dims(b)]
  if (left.length < 2 || right.length < 2) throw new Error('products of vectors are not supported')
  if (left.at(-2) === 1 && right.length > 2 && left.length === right.length)
    return vectors(append, a, b, gradient, wanted)
  return [
    wanted(0) ? gradientOfLeft(append, a, b, gradient) : undefined,
    wanted(1) ? gradientOfRight(append, a, b, gradient) : undefined,
  ]
}

/**
 * Gradients of stacks [… 1, k] · [… k, n]: the products are of a vector and a matrix, and of two vectors, for which
 * multiplying element by element is faster than a product of matrices per row.
 */
function vectors(
  append: Appender,
  a: string,
  b: string,
  gradient: string,
  wanted: (input: number) => boolean,
): (string | undefined)[] {
  const dA = () => {
    const along = append.multiply(b, gradient) // [… k, n]
    const summed = append.reduce('ReduceSum', along, [append.dims(along).length - 1], true) // [… k, 1]
    return append.sumTo(append.transposeMatrices(summed), a)
  }
  return [
    wanted(0) ? dA() : undefined,
    wanted(1) ? append.sumTo(append.multiply(append.transposeMatrices(a), gradient), b) : undefined,
  ]
}

function gradientOfLeft(append: Appender, a: string, b: string, gradient: string): string {
  const dims = append.dims(a)
  if (dims.length === 2 && append.dims(b).length === 2) return append.op('Gemm', [gradient, b], dims, { transB: 1 })
  return append.sumTo(multiply(append, gradient, append.transposeMatrices(b)), a)
}

function gradientOfRight(append: Appender, a: string, b: string, gradient: string): string {
  const [left, right] = [append.dims(a), append.dims(b)]
  if (right.length > 2) return append.sumTo(multiply(append, append.transposeMatrices(a), gradient), b)
  const [k, n] = right as [number, number]
  const [rows, out] = left.length === 2 ? [a, gradient] : [flat(append, a, k), flat(append, gradient, n)]
  return append.op('Gemm', [rows, out], [k, n], { transA: 1 })
}

/** All rows of matrices [… m, width] as one matrix. */
function flat(append: Appender, x: string, width: number): string {
  // At most one side is a multiple of the batch size, so that the product is one too.
  const rows = product(append.dims(x).slice(0, -1))
  return append.op('Reshape', [x, append.graph.integers([-1, width])], [rows, width])
}

function multiply(append: Appender, a: string, b: string): string {
  const [left, right] = [append.dims(a), append.dims(b)]
  const batch = left.length > right.length ? left.slice(0, -2) : right.slice(0, -2)
  const sides = batch.map((side, axis) => {
    const [x, y] = [left[left.length - 2 - batch.length + axis], right[right.length - 2 - batch.length + axis]]
    return x === undefined ? (y ?? side) : x === 1 ? (y ?? 1) : x
  })
  return append.op('MatMul', [a, b], [...sides, left.at(-2)!, right.at(-1)!])
}

/** α·A'·B' + β·C, where A' and B' may be transposed. */
const gemm: Rule = ({ append, gradient, node, wanted }) => {
  const [a, b, c] = node.input as [string, string, string | undefined]
  const [transA, transB] = [intAttribute(node, 'transA', 0), intAttribute(node, 'transB', 0)]
  const alpha = floatAttribute(node, 'alpha', 1)
  const beta = floatAttribute(node, 'beta', 1)
  const times = (x: string, y: string, flags: { transA?: number; transB?: number }, like: string) =>
    append.op('Gemm', [x, y], append.dims(like), { ...flags, ...(alpha === 1 ? {} : { alpha: { float: alpha } }) })
  // dA' = G·B'ᵀ and dB' = A'ᵀ·G; a transposed input takes a transposed gradient.
  const dA = () =>
    transA ? times(b, gradient, { transA: transB, transB: 1 }, a) : times(gradient, b, { transB: 1 - transB }, a)
  const dB = () =>
    transB ? times(gradient, a, { transA: 1, transB: transA }, b) : times(a, gradient, { transA: 1 - transA }, b)
  const dC = (like: string) => {
    const summed = append.sumTo(gradient, like)
    return beta === 1 ? summed : append.multiply(summed, append.scalar(beta))
  }
  return [
    wanted(0) ? dA() : undefined,
    wanted(1) ? dB() : undefined,
    c !== undefined && c !== '' && wanted(2) ? dC(c) : undefined,
  ]
}

/**
 * The gradient of an operand of `a,b->c` is a sum of products too, of the output's gradient and the other operands:
 * `c,b->a`.
 *
 * Sides that only one operand has are in the output, and none repeats.
 */
const einsum: Rule = ({ append, node, gradient, wanted }) => {
  const { operands, output } = parse(new TextDecoder().decode(attribute(node, 'equation')?.s))
  expectEqualSides(append, operands, node.input)
  return operands.map((letters, i) => {
    if (!wanted(i)) return undefined
    const others = operands.toSpliced(i, 1)
    const known = [output, ...others]
    const lost = [...letters].find((letter) => !known.some((one) => one.includes(letter)))
    if (lost !== undefined) throw new Error(`the sum over ${lost}, a side of one operand alone, is not supported`)
    const equation = `${known.join(',')}->${letters}`
    const name = node.input[i]!
    return append.op('Einsum', [gradient, ...node.input.toSpliced(i, 1)], append.dims(name), { equation })
  })
}

/** Throws an Error where an equation has an ellipsis or a diagonal. */
function parse(text: string): { operands: string[]; output: string } {
  const equation = text.replaceAll(' ', '')
  const [left, right] = equation.split('->') as [string, string | undefined]
  const operands = left.split(',')
  // Without an arrow, the output has each letter that occurs once, in alphabetical order.
  const once = () => [...left].filter((letter) => letter !== ',' && left.split(letter).length === 2).sort()
  const output = right ?? once().join('')
  for (const letters of [...operands, output])
    if (!/^[a-zA-Z]*$/.test(letters) || new Set(letters).size < letters.length)
      throw new Error(`the equation ${equation} is not supported`)
  return { operands, output }
}

/** A side of 1 may repeat in place of the letter's. */
function expectEqualSides(append: Appender, operands: readonly string[], inputs: readonly string[]): void {
  const sides = new Map<string, number>()
  operands.forEach((letters, i) => {
    append.dims(inputs[i]!).forEach((side, axis) => {
      const letter = letters[axis]!
      if ((sides.get(letter) ?? side) !== side) throw new Error(`sides ${letter} that differ are not supported`)
      sides.set(letter, side)
    })
  })
}

const mixed = absent('each of its columns depends on all of the input')
const ofBackEnds = absent('whatever computes products brings its own: engines/small/products.ts, graph/onednn/')

export const products: Record<string, Operator> = {
  Einsum: {
    columns: mixed,
    places: wholeLists,
    gradient: einsum,
    rows: absent('canonicalise makes a MatMul of it'),
    tensorflow: otherArguments,
  },
  Gemm: {
    columns: mixed,
    places: rowsByWeights(1, 2),
    gradient: gemm,
    rows: ofBackEnds,
    tensorflow: absent('TensorFlow has MatMul and BiasAdd'),
  },
  MatMul: { columns: mixed, places: multipliedPlaces, gradient: matMul, rows: ofBackEnds, tensorflow: otherArguments },
}
