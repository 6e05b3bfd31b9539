import type { Violation } from '../../../base/errors.ts'
import type { CrossedField, Field, NumericField, Side, SparseField } from '../../../schemas/features.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { CandidateId } from '../../contracts/prediction.ts'
import { type CrossedColumn, crossedIds, sideOf } from './crossed.ts'
import {
  createNumericFieldEncoder,
  createSparseFieldEncoder,
  type FieldEncoder,
  type SparseFieldEncoder,
} from './field.ts'
import type { Violations } from './problems.ts'

export interface EncodeOptions {
  /** Maximum rows of a request; more is TOO_MANY_ROWS. */
  maxRows: number
  /** Leave out bad rows and list their problems instead of rejecting the request. */
  partial: boolean
  /** Every candidate must have a bid. */
  bids?: boolean
  /** Problems found earlier; reported together with those of the rows. */
  problems?: Violations
  /** Arrays to encode into; default: new arrays. */
  allocate?(rows: number): RowArrays | undefined
}

/** int32 [rows, sparse fields] and float32 [rows, numeric fields], to be overwritten. */
export interface RowArrays {
  sparse: Int32Array
  dense: Float32Array
}

/** Arrays for the rows of a request. */
export function allocateRows({ sparse, dense }: Layout, rows: number, options: EncodeOptions): RowArrays {
  return (
    options.allocate?.(rows) ?? {
      sparse: new Int32Array(rows * sparse.length),
      dense: new Float32Array(rows * dense.length),
    }
  )
}

/** A request as tensors. Row-major; sparse fields and numeric fields each in manifest order. */
export interface EncodedRequest {
  /** Rows of the request, bad ones included. */
  requested: number
  /** Rows encoded: fewer than `requested` if bad rows were left out (`partial`). */
  rows: number
  /** int32 [rows, sparse fields], ids of the shared id space. */
  sparse: Int32Array
  /** float32 [rows, numeric fields], scaled. */
  dense: Float32Array
  /** Requested row of each encoded row, if bad rows were left out. */
  index?: Int32Array
  /** Per requested row, if the request gives them. */
  ids?: (CandidateId | undefined)[]
  bids?: (number | undefined)[]
  /** Per requested row, the fields with a value that the model does not know, if requested. */
  unknown?: (string[] | undefined)[]
  /** Problems of the rows that are left out. */
  problems: Violation[]
  /** JSON pointer to a row in the request, or to its numeric field `field`. */
  placeOf(row: number, field: string | undefined): string
}

/** The column of `sparse` or `dense` that holds a field. */
export interface FieldColumn {
  name: string
  sparse: boolean
  column: number
  encoder: FieldEncoder
}

/** A column of ids. */
export type SparseColumn = Omit<SparseFieldEncoder, keyof FieldEncoder> & { field: SparseField | CrossedSide }

/** A crossed field, and the side that follows from its parts. */
export type CrossedSide = CrossedField & { kind: 'crossed'; side: Side }

/** The columns of a model's fields. */
export interface Layout {
  /** The fields that requests give, in manifest order. */
  slots: FieldColumn[]
  byName: Map<string, FieldColumn>
  /** Crossed fields last. */
  sparse: SparseColumn[]
  /** The last ones of `sparse`, which are computed from others. */
  crossed: (SparseColumn & CrossedColumn & { field: CrossedSide })[]
  dense: FieldEncoder[]
  /** Rows of the embedding table. */
  ids: number
}

/** Columns of ids that requests give as tensors. */
export function givenColumns({ sparse, crossed }: Layout): SparseColumn[] {
  return crossed.length === 0 ? sparse : sparse.slice(0, -crossed.length)
}

/**
 * Whether each sparse field's ids begin at 0: if each has its own tensor, or the manifest says so. Otherwise fields
 * share one id space.
 */
export function hasOwnIds({ graph: { inputs } }: Pick<Manifest, 'graph'>): boolean {
  return inputs.ids === 'per_field' || (Array.isArray(inputs.sparse) && inputs.sparse.length > 1)
}

export interface LayoutOptions {
  /** Each sparse field's ids begin at 0: those of a graph that has a tensor, and so a table, for each. */
  ownIds?: boolean | undefined
  crossed?: readonly CrossedField[] | undefined
  /** Receives the field of every value that fell into an out-of-vocabulary bucket. */
  onUnknown?: ((field: string) => void) | undefined
}

/** Crossed fields must have passed `crossedProblems`. */
export function createLayout(features: readonly Field[], options: LayoutOptions = {}): Layout {
  const { ownIds = false, crossed = [], onUnknown } = options
  const layout: Layout = { slots: [], byName: new Map(), sparse: [], crossed: [], dense: [], ids: 0 }
  for (const field of features) {
    const slot =
      field.kind === 'numeric' ? addDense(layout, field, onUnknown) : addSparse(layout, field, ownIds, onUnknown)
    layout.slots.push(slot)
    layout.byName.set(field.name, slot)
  }
  for (const field of crossed) addCrossed(layout, field, ownIds)
  return layout
}

/** The options of a manifest's layout. */
export function layoutOptions(manifest: Pick<Manifest, 'crossed' | 'graph'>): LayoutOptions {
  return { crossed: manifest.crossed, ownIds: hasOwnIds(manifest) }
}

/** The layout of a manifest's fields. */
export function layoutOf(manifest: Pick<Manifest, 'features' | 'crossed' | 'graph'>): Layout {
  return createLayout(manifest.features, layoutOptions(manifest))
}

function addDense(layout: Layout, field: NumericField, onUnknown?: (field: string) => void): FieldColumn {
  const encoder = createNumericFieldEncoder(field, onUnknown)
  layout.dense.push(encoder)
  return { name: field.name, sparse: false, column: layout.dense.length - 1, encoder }
}

function addSparse(
  layout: Layout,
  field: SparseField,
  ownIds: boolean,
  onUnknown?: (field: string) => void,
): FieldColumn {
  const encoder = createSparseFieldEncoder(field, ownIds ? 0 : layout.ids, onUnknown)
  layout.ids += encoder.ids
  layout.sparse.push(encoder)
  return { name: field.name, sparse: true, column: layout.sparse.length - 1, encoder }
}

function addCrossed(layout: Layout, crossed: CrossedField, ownIds: boolean): void {
  const columns = crossed.of.map((name) => layout.byName.get(name)!)
  const parts = columns.map(({ column }) => {
    const { offset, ids } = layout.sparse[column]!
    return { column, offset, ids }
  })
  const field: CrossedSide = {
    ...crossed,
    kind: 'crossed',
    side: sideOf(columns.map(({ encoder }) => encoder.field)),
  }
  const offset = ownIds ? 0 : layout.ids
  const { ids, hashed } = crossedIds(crossed.buckets, parts)
  const column = { field, offset, ids, hashed, plain: offset, largest: offset + ids - 1, parts }
  layout.ids += ids
  layout.sparse.push(column)
  layout.crossed.push(column)
}
