import type { Violation } from '../../../base/errors.ts'
import type { Field } from '../../../schemas/features.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { CandidateId } from '../../contracts/prediction.ts'
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

/** The columns of a model's fields. */
export interface Layout {
  /** In manifest order. */
  slots: FieldColumn[]
  byName: Map<string, FieldColumn>
  sparse: SparseFieldEncoder[]
  dense: FieldEncoder[]
  /** Rows of the embedding table. */
  ids: number
}

/**
 * Whether each sparse field's ids begin at 0: if each has its own tensor, or the manifest says so. Otherwise fields
 * share one id space.
 */
export function hasOwnIds({ graph: { inputs } }: Pick<Manifest, 'graph'>): boolean {
  return inputs.ids === 'per_field' || (Array.isArray(inputs.sparse) && inputs.sparse.length > 1)
}

/**
 * `onUnknown` receives the field of every value that fell into an out-of-vocabulary bucket. With `ownIds` each sparse
 * field's ids begin at 0: those of a graph that has a tensor, and so a table, for each.
 */
export function createLayout(features: readonly Field[], onUnknown?: (field: string) => void, ownIds = false): Layout {
  const layout: Layout = { slots: [], byName: new Map(), sparse: [], dense: [], ids: 0 }
  for (const field of features) {
    const slot = field.kind === 'numeric' ? addDense(layout, field) : addSparse(layout, field, ownIds, onUnknown)
    layout.slots.push(slot)
    layout.byName.set(field.name, slot)
  }
  return layout
}

/** The layout of a manifest's fields. */
export function layoutOf(manifest: Pick<Manifest, 'features' | 'graph'>): Layout {
  return createLayout(manifest.features, undefined, hasOwnIds(manifest))
}

function addDense(layout: Layout, field: Extract<Field, { kind: 'numeric' }>): FieldColumn {
  const encoder = createNumericFieldEncoder(field)
  layout.dense.push(encoder)
  return { name: field.name, sparse: false, column: layout.dense.length - 1, encoder }
}

function addSparse(
  layout: Layout,
  field: Exclude<Field, { kind: 'numeric' }>,
  ownIds: boolean,
  onUnknown?: (field: string) => void,
): FieldColumn {
  const encoder = createSparseFieldEncoder(field, ownIds ? 0 : layout.ids, onUnknown)
  layout.ids += encoder.ids
  layout.sparse.push(encoder)
  return { name: field.name, sparse: true, column: layout.sparse.length - 1, encoder }
}
