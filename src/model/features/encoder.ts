import type { Features } from '../../schemas/features.ts'
import { encodeColumns } from './columns.ts'
import { type EncodedRequest, type EncodeOptions, type Layout, layOut } from './layout.ts'
import { encodeRows } from './rows.ts'
import { encodeTensors } from './tensors.ts'

/**
 * Turns requests into tensors.
 *
 * Nothing is coerced or dropped: each method throws INVALID_REQUEST with a JSON pointer for every wrong value (at most
 * 100), or TOO_MANY_ROWS. The context is encoded once and copied to every row.
 */
export interface Encoder {
  layout: Layout
  /** One object a candidate; without candidates the context is the one row. */
  rows(context: unknown, candidates: unknown, options: EncodeOptions): EncodedRequest
  /** One array a field. */
  columns(context: unknown, candidates: unknown, options: EncodeOptions): EncodedRequest
  /** Encoded already; every id must lie in its field's range. */
  tensors(sparse: unknown, dense: unknown, options: EncodeOptions): EncodedRequest
}

/** `onUnknown` hears of every value that fell into an out-of-vocabulary bucket. */
export function createEncoder(features: Features, onUnknown?: (field: string) => void): Encoder {
  const layout = layOut(features, onUnknown)
  return {
    layout,
    rows: (context, candidates, options) => encodeRows(layout, context, candidates, options),
    columns: (context, candidates, options) => encodeColumns(layout, context, candidates, options),
    tensors: (sparse, dense, options) => encodeTensors(layout, sparse, dense, options),
  }
}
