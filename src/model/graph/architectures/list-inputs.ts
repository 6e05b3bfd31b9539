import type { Side } from '../../../schemas/features.ts'
import type { Pooling } from '../../../schemas/train-fields.ts'
import type { TrainSequence } from '../../../schemas/train-sequences.ts'
import { columnCutter } from './cut-columns.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import {
  dotAttention,
  type Items,
  interestUnit,
  listMask,
  multiHeadAttention,
  poolList,
  timeDecay,
} from './list-layers.ts'
import type { OwnTable } from './own-tables.ts'

/*
 * Models with lists, vectors and sequences: which columns they are, and what the rest of a network reads of them.
 * Columns are counted from 0 in `sparse`, for ids, or in `dense`, for numbers.
 */

export interface ColumnGroups {
  /** Columns of one id each, and of one number each. */
  ids: number[]
  numbers: number[]
  vectors: VectorShape[]
  /** Lists that are pooled. */
  lists: ListShape[]
  sequences: SequenceShape[]
}

export interface VectorShape {
  name: string
  side: Side
  /** The first column. */
  column: number
  length: number
  /** Width of its projection; default: that of an embedding. */
  dim?: number | undefined
}

/** Parts of a model's shape. */
interface GroupedShape {
  ids: number
  tables?: readonly OwnTable[] | undefined
  sides?: { sparse: Side[] } | undefined
  groups?: ColumnGroups | undefined
}

/** Names of the layers that embed inputs. */
interface Names {
  table: string
  flat: string
  dense: string
  features: string
}

/** Where a list's values are: the first of its columns, of ids or of numbers. */
export type ListValues = { ids: number } | { numbers: number }

/** Which of `max` columns of ids, from `column` on, hold values. */
export interface MaskShape {
  column: number
  padding: number
}

export interface ListShape {
  name: string
  side: Side
  max: number
  values: ListValues
  mask: MaskShape
  pooling: Pooling
  /** The first column of the values' weights. */
  weights?: number | undefined
}

export interface SequenceShape {
  name: string
  side: Side
  max: number
  mask: MaskShape
  /** Lists of ids, and the columns of the candidate's ids that each is compared with. */
  compared: { ids: number; target: number }[]
  /** Other lists that describe the items. */
  more: ListValues[]
  /** The first column of how long ago each item was. */
  ages?: number | undefined
  options: Pick<TrainSequence, 'attention' | 'heads' | 'dim' | 'dims' | 'activation' | 'half_lives'>
}

/** Columns of a model's inputs, each cut out once. */
export interface InputColumns {
  ids(column: number, length: number): SymbolicTensor
  numbers(column: number, length: number): SymbolicTensor
  /** [B, max] */
  mask(shape: MaskShape, max: number): SymbolicTensor
}

export function inputColumns(
  layers: LayersBuilder,
  { sparse, dense }: { sparse: SymbolicTensor | undefined; dense: SymbolicTensor | undefined },
): InputColumns {
  const cut = (name: string, columns: SymbolicTensor | undefined) => {
    const cutter = columns && columnCutter(layers, name, columns)
    return once((column: number, length: number) => cutter!(column, length, `${column}_${length}`))
  }
  const ids = cut('sparse', sparse)
  const masked = once((column: number, max: number, padding: number) =>
    listMask(layers, `mask_${column}`, ids(column, max), { column, padding }),
  )
  return { ids, numbers: cut('dense', dense), mask: ({ column, padding }, max) => masked(column, max, padding) }
}

function once<Key extends number[]>(make: (...key: Key) => SymbolicTensor): (...key: Key) => SymbolicTensor {
  const made = new Map<string, SymbolicTensor>()
  return (...key) => {
    const known = made.get(key.join()) ?? make(...key)
    made.set(key.join(), known)
    return known
  }
}

/** Options of embeddings. */
interface Options {
  dim_emb: number
  embedding_l2: number
}

/** Looks ids up: the table that a column of ids reads. */
interface Tables {
  /** [B, n] → [B, n, w]; `column`: the first of the ids. */
  look(column: number, ids: SymbolicTensor): SymbolicTensor
}

function tablesOf(layers: LayersBuilder, name: string, options: Options, { tables, ids: all }: GroupedShape): Tables {
  return {
    look(column, ids) {
      const own = tables?.[column]
      if (own === undefined) return layers.embedding(name, ids, all, options.dim_emb, options.embedding_l2)
      return layers.embedding(`${name}/field_${own.owner ?? column}`, ids, own.ids, own.dim, own.l2)
    },
  }
}

/** Values of a list [B, L, w]: embedded ids, or unchanged numbers. */
function valuesOf(columns: InputColumns, layers: LayersBuilder, tables: Tables, values: ListValues, max: number) {
  if ('ids' in values) return tables.look(values.ids, columns.ids(values.ids, max))
  return layers.reshape(`items_${values.numbers}`, columns.numbers(values.numbers, max), [max, 1])
}

/** Runs of neighbouring columns. */
export function runsOf(columns: readonly number[]): { start: number; length: number }[] {
  const runs: { start: number; length: number }[] = []
  for (const column of columns) {
    const last = runs.at(-1)
    if (last !== undefined && last.start + last.length === column) last.length++
    else runs.push({ start: column, length: 1 })
  }
  return runs
}

/**
 * The parts that a network reads of a model's ids, lists and sequences: each [B, any]. `side`: of this side alone;
 * default: of all.
 */
export function embedIds(
  layers: LayersBuilder,
  columns: InputColumns,
  options: Options,
  shape: GroupedShape,
  names: Names,
  side?: Side,
): SymbolicTensor[] {
  const { ids, lists, sequences } = shape.groups!
  const tables = tablesOf(layers, names.table, options, shape)
  const isWanted = (of: Side) => side === undefined || of === side
  const single = ids.filter((column) => isWanted(shape.sides!.sparse[column]!))
  const runs = shape.tables ? single.map((start) => ({ start, length: 1 })) : runsOf(single)
  const embedded = runs.map(({ start, length }) =>
    layers.flatten(`${names.flat}_${start}`, tables.look(start, columns.ids(start, length))),
  )
  const pooled = lists.flatMap((list) => {
    const { name, max, values, mask, weights, pooling } = list
    if (!isWanted(list.side)) return []
    const among = {
      mask: columns.mask(mask, max),
      weights: weights === undefined ? undefined : columns.numbers(weights, max),
      pooling,
    }
    const one = poolList(layers, `${names.features}/${name}`, valuesOf(columns, layers, tables, values, max), among)
    if ('ids' in values) return [one]
    return [layers.dense(`${names.dense}/${name}`, one, options.dim_emb, { useBias: false })]
  })
  const attended = sequences.flatMap((sequence) =>
    isWanted(sequence.side) ? [attend(layers, columns, tables, options, sequence, names)] : [],
  )
  return [...embedded, ...pooled, ...attended]
}

function attend(
  layers: LayersBuilder,
  columns: InputColumns,
  tables: Tables,
  { dim_emb }: Options,
  { name: sequence, max, mask, compared, more, ages, options }: SequenceShape,
  names: Names,
): SymbolicTensor {
  const name = `${names.features}/${sequence}`
  const beside = (part: string, tensors: SymbolicTensor[]) =>
    tensors.length > 1 ? layers.concatenate(`${name}/${part}`, tensors) : tensors[0]!
  const looked = (values: ListValues) => valuesOf(columns, layers, tables, values, max)
  const targets = compared.map(({ target }) =>
    layers.flatten(`${name}/target_${target}`, tables.look(target, columns.ids(target, 1))),
  )
  const keys = compared.map(({ ids }) => looked({ ids }))
  const others = more.map(looked)
  const items: Items = {
    keys: beside('keys', keys),
    more: others.length > 0 ? beside('more', others) : undefined,
    values: beside('items', [...keys, ...others]),
    mask: columns.mask(mask, max),
  }
  const query = beside('query_of', targets)
  const { attention, heads = 2, dim = dim_emb, dims = [64, 16], activation = 'relu' } = options
  if (attention === 'din') return interestUnit(layers, name, query, items, { widths: dims, activation })
  if (attention === 'time_decay') {
    const { half_lives: halfLives = [] } = options
    return timeDecay(layers, name, query, items, { ages: columns.numbers(ages!, max), heads, halfLives })
  }
  if (attention === 'multi_head') return multiHeadAttention(layers, name, query, items, { heads, width: dim })
  return dotAttention(layers, name, query, items)
}

/** Vectors, each projected: [B, its width]. */
export function projectVectors(
  layers: LayersBuilder,
  columns: InputColumns,
  { dim_emb }: Options,
  { vectors }: ColumnGroups,
  names: Pick<Names, 'dense'>,
  side?: Side,
): SymbolicTensor[] {
  return vectors.flatMap((vector) => {
    if (side !== undefined && vector.side !== side) return []
    const { name, column, length, dim = dim_emb } = vector
    return [layers.dense(`${names.dense}/${name}`, columns.numbers(column, length), dim, { useBias: false })]
  })
}
