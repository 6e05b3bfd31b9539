import type { ActivationName } from '../../../schemas/architecture.ts'
import type { Pooling } from '../../../schemas/train-fields.ts'
import { listClasses } from '../lower/layers/list-classes.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/* Layers of lists, recorded; lower/layers/lists.ts has what they compute. L is the most values of a list. */

/** Ids [B, L] → 1 where there is a value, 0 where there is padding [B, L]. `column`: the first of the ids' columns. */
export function listMask(
  layers: LayersBuilder,
  name: string,
  ids: SymbolicTensor,
  { column, padding }: { column: number; padding: number },
): SymbolicTensor {
  return layers.custom(
    name,
    { className: listClasses.mask, config: { padding, column, max: ids.dims[0]! } },
    [ids],
    ids.dims,
  )
}

/** [B, L, w], a mask [B, L] and, where there are any, weights [B, L] → [B, w]. */
export function poolList(
  layers: LayersBuilder,
  name: string,
  values: SymbolicTensor,
  { mask, weights, pooling }: { mask: SymbolicTensor; weights: SymbolicTensor | undefined; pooling: Pooling },
): SymbolicTensor {
  const inputs = [values, mask, ...(weights ? [weights] : [])]
  return layers.custom(name, { className: listClasses.pooling, config: { pooling } }, inputs, [values.dims[1]!])
}

/** Items that a candidate is compared with. */
export interface Items {
  /** [B, L, w]: what the query [B, w] is compared with. */
  keys: SymbolicTensor
  /** [B, L, n]: what else is known of each item; undefined: nothing. */
  more: SymbolicTensor | undefined
  /** [B, L, w + n]: all that is known of it. */
  values: SymbolicTensor
  /** [B, L] */
  mask: SymbolicTensor
}

/** The mean of values, weighted by softmax(query · key ÷ √w): [B, w + n]. */
export function dotAttention(layers: LayersBuilder, name: string, query: SymbolicTensor, items: Items): SymbolicTensor {
  return attention(layers, name, [query, items.keys, items.values, items.mask], 1)
}

/** The same in `heads` projections of query, keys and values to `width` numbers each: [B, heads · width]. */
export function multiHeadAttention(
  layers: LayersBuilder,
  name: string,
  query: SymbolicTensor,
  { keys, values, mask }: Items,
  { heads, width }: { heads: number; width: number },
): SymbolicTensor {
  const project = (part: string, x: SymbolicTensor) =>
    layers.dense(`${name}/${part}`, x, heads * width, { useBias: false })
  const projected = [project('query', query), project('key', keys), project('value', values), mask]
  return attention(layers, name, projected, heads)
}

function attention(layers: LayersBuilder, name: string, inputs: SymbolicTensor[], heads: number): SymbolicTensor {
  return layers.custom(name, { className: listClasses.attention, config: { heads } }, inputs, [inputs[2]!.dims[1]!])
}

/**
 * DIN's local activation unit (G. Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018): a
 * network of item, query, their difference and product scores each item, and no softmax divides the scores, so that
 * their sum says how much there is: [B, w + n].
 */
export function interestUnit(
  layers: LayersBuilder,
  name: string,
  query: SymbolicTensor,
  { keys, more, values, mask }: Items,
  { widths, activation }: { widths: readonly number[]; activation: ActivationName },
): SymbolicTensor {
  const [length, width] = keys.dims as [number, number]
  const dims = [length, 4 * width + (more?.dims[1] ?? 0)]
  const pairs = [query, keys, ...(more ? [more] : []), mask]
  let x = layers.custom(`${name}/pairs`, { className: listClasses.pairs }, pairs, dims)
  for (const [i, units] of widths.entries()) {
    x = layers.dense(`${name}/dense_${i}`, x, units) // [B, L, units]
    x = layers.activation(`${name}/${activation}_${i}`, x, activation)
  }
  const scores = layers.dense(`${name}/score`, x, 1) // [B, L, 1]
  return layers.custom(name, { className: listClasses.sum }, [scores, values, mask], [values.dims[1]!])
}

/**
 * Items like the target, by how long ago, for each of `heads` kinds of likeness; lower/layers/lists.ts has the formula.
 * A query starts as the target itself, so that items like it count.
 */
export function timeDecay(
  layers: LayersBuilder,
  name: string,
  query: SymbolicTensor,
  { keys, values, mask }: Items,
  { ages, heads, halfLives }: { ages: SymbolicTensor; heads: number; halfLives: readonly number[] },
): SymbolicTensor {
  const width = query.dims[0]!
  const queries = layers.dense(`${name}/query`, query, heads * width, { useBias: false })
  layers.start(queries, 'kernel', (kernel) => {
    kernel.fill(0)
    for (let row = 0; row < width; row++)
      for (let head = 0; head < heads; head++) kernel[row * heads * width + head * width + row] = 1 + head
  })
  const offsets = layers.dense(`${name}/offset`, query, heads)
  layers.startBias(offsets, -1)
  const rates = halfLives.length
  const dims = [heads * rates + rates * values.dims[1]! + rates]
  const config = { half_lives: [...halfLives] }
  const inputs = [queries, offsets, keys, values, ages, mask]
  return layers.custom(name, { className: listClasses.timeDecay, config }, inputs, dims)
}
