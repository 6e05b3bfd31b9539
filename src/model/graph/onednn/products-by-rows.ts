import type { Each } from '../rows/program.ts'
import { filled, type Operand } from './operand.ts'
import type { Product, ProductShape, Weights } from './primitives.ts'
import type { OnednnTranslation } from './translation.ts'

/** By class of rows. */
export type Products = { product: Product; weights: Weights }[]

/** Weights [k, n], and for bytes the scale of each column. */
export interface DenseWeights {
  k: number
  n: number
  values: Float32Array | Int8Array
  scale?: Float32Array
}

/** A product for each class of rows, and the weights as it reads them; k and n are filled up with zeros. */
export function productsOf(
  t: OnednnTranslation,
  matrix: DenseWeights,
  { format: input, stride, columns: rows }: Operand,
  { each, columns, output, relu }: { each: Each; columns: number } & Pick<ProductShape, 'output' | 'relu'>,
): Products {
  const shape = { n: columns, input, output, relu }
  const bound = (classes: readonly number[], k: number) => {
    const products = classes.map((rows) => t.library.product({ rows, k, stride: rows === 1 ? k : stride, ...shape }))
    t.keep(products)
    const { values, scale } = filledWeights(matrix, k, columns)
    const weights = t.library.pack(values, k, columns, products, scale)
    return products.map((product) => ({ product, weights }))
  }
  const { rowClasses, fillsSingleRows } = t.tiling
  const isFilled = input === 'bfloat16' && matrix.k < rows
  if (each === 'rows' || fillsSingleRows || !isFilled) return bound(rowClasses, rows)
  return [...bound(rowClasses.slice(0, 1), matrix.k), ...bound(rowClasses.slice(1), rows)]
}

/** The weights with `rows` rows and `columns` columns; those that are added are zeros. */
function filledWeights(
  { k, n, values, scale }: DenseWeights,
  rows: number,
  columns: number,
): Pick<DenseWeights, 'values' | 'scale'> {
  if (rows === k && columns === n) return { values, ...(scale && { scale }) }
  const all = values instanceof Int8Array ? new Int8Array(rows * columns) : new Float32Array(rows * columns)
  for (let row = 0; row < k; row++) all.set(values.subarray(row * n, (row + 1) * n), row * columns)
  return { values: all, ...(scale && { scale: filled(scale, n, columns) }) }
}
