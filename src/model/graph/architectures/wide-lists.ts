import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import { type ColumnGroups, type InputColumns, type ListShape, runsOf } from './list-inputs.ts'
import { poolList } from './list-layers.ts'
import type { OwnTable } from './own-tables.ts'

interface WideTables {
  ids: number
  tables: readonly OwnTable[] | undefined
  /** Weights of each id: one per task. */
  width: number
  l2: number
}

/** Weights of ids, of lists pooled: for each field [B, T], those of neighbouring columns side by side. */
export function embedWide(
  layers: LayersBuilder,
  columns: InputColumns,
  { ids, lists, sequences }: ColumnGroups,
  { ids: all, tables, width, l2 }: WideTables,
): SymbolicTensor[] {
  const look = (column: number, read: SymbolicTensor) => {
    const own = tables?.[column]
    const name = own === undefined ? 'wide' : `wide/field_${own.owner ?? column}`
    const weights = layers.embedding(name, read, own?.ids ?? all, width, l2) // [B, n, T]
    layers.start({ layer: name }, 'embeddings', () => undefined)
    return weights
  }
  const runs = tables ? ids.map((start) => ({ start, length: 1 })) : runsOf(ids)
  const single = runs.map(({ start, length }) =>
    layers.flatten(`wide_flat_${start}`, look(start, columns.ids(start, length))),
  )
  const ofSequences = sequences.flatMap(({ name, max, mask, compared, more }) =>
    [...compared.map((list) => list.ids), ...more.flatMap((values) => ('ids' in values ? [values.ids] : []))].map(
      (first): Pick<ListShape, 'name' | 'max' | 'values' | 'mask' | 'pooling' | 'weights'> => ({
        ...{ name: `${name}_${first}`, max, mask },
        values: { ids: first },
        pooling: 'mean',
      }),
    ),
  )
  const pooled = [...lists, ...ofSequences].flatMap(({ name, max, values, mask, weights, pooling }) => {
    if (!('ids' in values)) return []
    const among = {
      mask: columns.mask(mask, max),
      weights: weights === undefined ? undefined : columns.numbers(weights, max),
      pooling,
    }
    return [poolList(layers, `wide_list/${name}`, look(values.ids, columns.ids(values.ids, max)), among)]
  })
  return [...single, ...pooled]
}
