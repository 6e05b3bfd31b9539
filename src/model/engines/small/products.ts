import { product } from '../../../base/arrays.ts'
import type { NodeProto } from '../../graph/ir/onnx_pb.ts'
import { sigmoidLoop } from '../../graph/rows/arithmetic.ts'
import { NotTranslated } from '../../graph/rows/errors.ts'
import { productsBy } from '../../graph/rows/mixture.ts'
import type { Kernels } from '../../graph/rows/program.ts'
import type { Translation, Translator } from '../../graph/rows/translation.ts'

/*
 * Products of one row by constants, in WebAssembly: a call of it takes nanoseconds, where one of ONNX Runtime takes
 * microseconds.
 */

export const operators: Record<string, Translator> = productsBy(dense)

/** [… , k] · [k, n] + bias [n]; with the ReLU that follows, if any. */
function dense(t: Translation, node: NodeProto, x: string, weights: string, bias: string | undefined): void {
  const { part: from, dims: own, each } = t.floats(x, node)
  const { dims, values } = t.constant(weights)
  const [k, n] = dims as [number, number]
  if (dims.length !== 2 || own.at(-1) !== k) throw new NotTranslated(`a product of [${own}] and [${dims}]`)
  const added = bias ? t.constant(bias).values : new Float32Array(n)
  if (added.length !== n) throw new NotTranslated('Gemm with a bias of another width')
  const [name] = node.output as [string]
  const out = t.answer(node, each, own.with(-1, n), 'float32')
  const floor = t.relus.take(name) ? 0 : Number.NEGATIVE_INFINITY
  const [w, b] = [t.fixed(values), t.fixed(added)]
  const count = product(own.slice(0, -1))
  t.program.step(({ at, denseRow }) => {
    const [first, weights, bias, target] = [at[from.buffer]! + from.offset * 4, at[w]!, at[b]!, at[out.buffer]!]
    // A frame has one row.
    return () => {
      for (let i = 0; i < count; i++) denseRow(first + i * k * 4, k, weights, n, bias, floor, target + i * n * 4)
    }
  })
}

/** Kernels whose results are exact to the last bits of float32, which probabilities of a few rows are worth. */
export function exactKernels(floats: Float32Array): Pick<Kernels, 'sigmoid' | 'softmax'> {
  return {
    sigmoid: (x, out, count) => sigmoidLoop(floats, x / 4, out / 4, count),
    softmax(rows, runs, count, from, fromStride, out) {
      for (let row = 0; row < rows; row++)
        for (let run = 0; run < runs; run++)
          softmaxOf(floats, (from + row * fromStride) / 4 + run * count, out / 4 + (row * runs + run) * count, count)
    },
  }
}

function softmaxOf(floats: Float32Array, x: number, out: number, count: number): void {
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < count; i++) most = Math.max(most, floats[x + i]!)
  let sum = 0
  for (let i = 0; i < count; i++) {
    const value = Math.exp(floats[x + i]! - most)
    floats[out + i] = value
    sum += value
  }
  for (let i = 0; i < count; i++) floats[out + i]! /= sum
}
