import type { NodeProto } from '../ir/onnx_pb.ts'
import type { Call, Frame } from '../rows/program.ts'
import { type Part, sizes } from '../rows/tensor.ts'
import type { PairOrder } from './layers-over-pairs.ts'
import type { BoundProduct } from './primitives.ts'
import type { Tiling } from './tiling.ts'
import type { OnednnTranslation } from './translation.ts'

/** Items of a block, about: with fewer there are more calls, with more short lists are filled up more. */
const usualBlock = 8

/**
 * Adds a step: x [rows, d] · (items ⊗ W₀ + W₁) + bias [1, items · units], for the pairs of rows and items. `input`: x,
 * items [1, items, d], the bias, and the weights [d, 1 or 2, units], a constant.
 */
export function pairProduct(t: OnednnTranslation, { input, output }: NodeProto): void {
  const [name] = output as [string]
  const [x, items, bias] = input.map((read) => t.graph.inputs.findIndex((own) => own.name === read)) as Numbers
  const { dims, values } = t.constant(input[3]!)
  const [d, terms, units] = dims as [number, number, number]
  const { tiling, library } = t
  const order = pairOrder(-t.graph.shapes.get(name)!.dims[0]!, units, tiling, { x, bias })
  t.pairs = order
  const [k, n] = [tiling.padded(d), order.block * units]
  const relu = t.relus.take(name)
  const rounds = t.fusion.isHidden(name) && tiling.padded(units) === units
  const to = t.result('rows', [units], rounds ? 'bfloat16' : 'float32')
  t.set(name, to)
  const products = tiling.rowClasses.map((rows) =>
    library.product({ rows, k, n, input: 'bfloat16', stride: k, output: to.kind, relu }),
  )
  const packed = library.refillable(k, n, products)
  const roundings = tiling.rowClasses.map((rows) =>
    library.conversion(
      { rows, columns: d, format: 'float32', stride: d },
      { rows, columns: d, format: 'bfloat16', stride: k },
    ),
  )
  for (const primitives of [products, packed.conversions, roundings]) t.keep(primitives)
  const fillMatrix = matrixFiller(t, { values, d, terms, units, k, n })
  // The rows are fewer than the pairs.
  const [floats, rounded] = [t.program.buffer(d * sizes.float32), t.program.buffer(k * sizes.bfloat16)]
  const blockBias = t.placed(new Float32Array(n))
  const biases = new Float32Array(blockBias.region.buffer)
  const bound: BoundProduct[] = []
  const [out] = to.parts as [Part]
  t.program.step((frame) => {
    const region = library.region(frame.buffer)
    const [from, target] = [frame.at[floats]!, frame.at[rounded]!]
    const matrix = fillMatrix(frame)
    return ({ feeds }) => {
      const rows = feeds[x]!.dims[0]!
      const added = feeds[bias]!.data as Float32Array
      frame.floats.set(feeds[x]!.data as Float32Array, from / sizes.float32)
      tiling.inChunks(0, rows, (row, index) =>
        roundings[index]!.run(
          { region, at: from + row * d * sizes.float32 },
          { region, at: target + row * k * sizes.bfloat16 },
        ),
      )
      for (let first = 0, place = 0; first < added.length; first += n, place += rows * n) {
        const end = Math.min(first + n, added.length)
        matrix.fill(feeds[items]!.data as Float32Array, first / units, end / units)
        packed.refill({ region, at: matrix.at })
        biases.set(added.subarray(first, end))
        tiling.inChunks(0, rows, (row, index) => {
          bound[index] ??= t.bind(products[index]!, packed.weights)
          bound[index].run({ region, at: target + row * k * sizes.bfloat16 }, blockBias, {
            region,
            at: frame.at[out.buffer]! + (place + row * n) * sizes[to.kind],
          })
        })
      }
    }
  })
}

/** The numbers of three inputs. */
type Numbers = [number, number, number]

interface MatrixShape {
  /** Weights [d, terms, units]. */
  values: Float32Array
  d: number
  terms: number
  units: number
  /** The matrix [k, n] of a block of items. */
  k: number
  n: number
}

/** Makes what fills the matrix of items from `first` to `end`: for each number of x, its factors times its weights. */
function matrixFiller(t: OnednnTranslation, { values, d, terms, units, k, n }: MatrixShape) {
  const block = n / units
  const weights = t.program.fixed(values)
  const matrix = t.program.fixed(new Float32Array(k * n))
  // The item's number and 1, for each item of a block.
  const factors = t.program.fixed(new Float32Array(block * terms).fill(1))
  const lists = t.program.fixed(new Float32Array(d * terms * 2))
  return ({ at, floats, integers, mix }: Frame) => {
    for (let term = 0; term < d * terms; term++) {
      // Its address, and none from one row to the next.
      integers[at[lists]! / 4 + 2 * term] = at[weights]! + term * units * 4
      integers[at[lists]! / 4 + 2 * term + 1] = 0
    }
    return {
      at: at[matrix]!,
      fill(items: Float32Array, first: number, end: number): void {
        for (let i = 0; i < d; i++) {
          for (let item = first; item < end; item++)
            floats[at[factors]! / 4 + (item - first) * terms] = items[item * d + i]!
          const [list, to] = [at[lists]! + i * terms * 8, at[matrix]! + i * n * 4]
          mix(end - first, 1, list, terms, at[factors]!, terms * 4, to, units * 4, units * 4, Number.NEGATIVE_INFINITY)
        }
      },
    }
  }
}

/** `most`: items of the longest list. `numbers`: of the inputs. */
function pairOrder(most: number, units: number, tiling: Tiling, numbers: { x: number; bias: number }): PairOrder {
  const blocks = Math.ceil(most / usualBlock)
  const block = Math.max(1, Math.min(Math.ceil(most / blocks), Math.floor(tiling.mostColumns / units)))
  const sidesOf = ({ feeds }: Pick<Call, 'feeds'>) => {
    const rows = feeds[numbers.x]!.dims[0]!
    return { rows, items: feeds[numbers.bias]!.data.length / units }
  }
  return {
    block,
    count(call) {
      const { rows, items } = sidesOf(call)
      let computed = 0
      tiling.inChunks(0, rows, (row, index) => {
        computed = row + tiling.rowClasses[index]!
      })
      return (Math.ceil(items / block) * rows + computed - rows) * block
    },
    sorted(call, values, width) {
      const { rows, items } = sidesOf(call)
      const sorted = new Float32Array(rows * items * width)
      for (let first = 0; first < items; first += block) {
        const count = Math.min(block, items - first)
        for (let row = 0; row < rows; row++) {
          const from = (first * rows + row * block) * width
          const to = (row * items + first) * width
          for (let i = 0; i < count * width; i++) sorted[to + i] = values[from + i]!
        }
      }
      return sorted
    },
  }
}
