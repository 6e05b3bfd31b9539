import { ModelError } from '../../../base/errors.ts'
import type { Side } from '../../../schemas/features.ts'
import { columnCutter } from './cut-columns.ts'
import { concatenateColumns, type ModelInputs, type ModelShape, withBins } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import { embedIds, type InputColumns, projectVectors, runsOf } from './list-inputs.ts'
import { embedColumns } from './own-tables.ts'

/** The sides of a model's columns, from its fields in their order. */
export function sidesOf(fields: readonly { kind: string; side: Side }[]): NonNullable<ModelShape['sides']> {
  const of = (numeric: boolean) => fields.filter(({ kind }) => (kind === 'numeric') === numeric).map(({ side }) => side)
  return { sparse: of(false), dense: of(true) }
}

/**
 * Embeds the columns of one side alone, [B, (f + c)·d] for f sparse and c dense fields of it. Sparse ids share the
 * table; dense features have an embedding of their own, because the common one mixes all of them.
 *
 * Throws INVALID_BUNDLE if the sides are not known or no column has this one.
 */
export function embedSide(
  layers: LayersBuilder,
  { sparse, dense, bins, columns: grouped }: ModelInputs,
  options: { dim_emb: number; embedding_l2: number },
  shape: ModelShape,
  side: Side,
): SymbolicTensor {
  const { sides, groups } = shape
  if (sides === undefined)
    throw new ModelError('INVALID_BUNDLE', `experts of the ${side} need the sides of the model's fields`)
  if (grouped && groups) return embedSideOfGroups(layers, { columns: grouped, bins }, options, shape, side)
  const pick = (name: string, columns: SymbolicTensor | undefined, of: Side[]) =>
    columns === undefined
      ? []
      : cutRuns(
          layers,
          `${name}_${side}`,
          columns,
          of.map((one) => one === side),
        )
  const { tables } = shape
  const ids = tables ? [] : pick('sparse', sparse, sides.sparse)
  const isOwn = (column: number) => sides.sparse[column] === side
  const columns = tables && sparse ? embedColumns(layers, 'embedding', sparse, tables, isOwn) : []
  const values = pick('dense', dense, sides.dense)
  if (ids.length + columns.length + values.length === 0)
    throw new ModelError('INVALID_BUNDLE', `experts of the ${side} need a field of that side`)
  // Embedded run by run: the compiler follows columns of ids through a cut, not through a concatenation.
  const parts = ids.map((run, i) => {
    const embedded = layers.embedding('embedding', run, shape.ids, options.dim_emb, options.embedding_l2) // [B, n, d]
    return layers.flatten(`embedding_${side}/flat_${i}`, embedded) // [B, n·d]
  })
  parts.push(...columns)
  if (values.length > 0) {
    const own = bins.filter((_, column) => sides.dense[column] === side)
    const picked = withBins(layers, `dense_${side}`, values, own) // [B, c + n + …]
    const width = sides.dense.filter((one) => one === side).length * options.dim_emb
    parts.push(layers.dense(`dense_embedding_${side}`, picked, width, { useBias: false })) // [B, c·d]
  }
  return concatenateColumns(layers, `features_${side}`, parts) // [B, (f + c)·d]
}

function embedSideOfGroups(
  layers: LayersBuilder,
  { columns, bins }: { columns: InputColumns; bins: ModelInputs['bins'] },
  options: { dim_emb: number; embedding_l2: number },
  shape: ModelShape,
  side: Side,
): SymbolicTensor {
  const names = {
    table: 'embedding',
    flat: `embedding_${side}/flat`,
    dense: `dense_embedding_${side}`,
    features: `features_${side}`,
  }
  const parts = embedIds(layers, columns, options, shape, names, side)
  const numbers = shape.groups!.numbers.filter((column) => shape.sides!.dense[column] === side)
  if (numbers.length > 0) {
    const picked = runsOf(numbers).map(({ start, length }) => columns.numbers(start, length))
    const own = withBins(
      layers,
      `dense_${side}`,
      picked,
      numbers.map((column) => bins[column]),
    )
    parts.push(layers.dense(names.dense, own, numbers.length * options.dim_emb, { useBias: false }))
  }
  parts.push(...projectVectors(layers, columns, options, shape.groups!, names, side))
  if (parts.length === 0) throw new ModelError('INVALID_BUNDLE', `experts of the ${side} need a field of that side`)
  return concatenateColumns(layers, names.features, parts)
}

/** The wanted columns of [B, n], cut into runs of neighbours. */
function cutRuns(layers: LayersBuilder, name: string, columns: SymbolicTensor, wanted: boolean[]): SymbolicTensor[] {
  const cut = columnCutter(layers, name, columns)
  return runsOf(wanted.flatMap((one, column) => (one ? [column] : []))).map(({ start, length }, i) =>
    cut(start, length, i),
  )
}
