import type { Features } from '../../../schemas/features.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import { encodeColumns } from './columns.ts'
import { fillCrossed, widenRows } from './crossed.ts'
import { createBareIntegerEncoder, createBareNumberEncoder } from './field.ts'
import type { RowArrays } from './field-column.ts'
import {
  allocateRows,
  createLayout,
  type EncodedRequest,
  type EncodeOptions,
  givenColumns,
  type Layout,
  type LayoutOptions,
  layoutOptions,
} from './layout.ts'
import { invalidRequest } from './problems.ts'
import { encodeRows } from './rows.ts'
import { encodeTensors } from './tensors.ts'

/**
 * Encodes requests as tensors.
 *
 * Values are neither coerced nor dropped: methods throw INVALID_REQUEST with a JSON pointer to every wrong value (at
 * most 100), or TOO_MANY_ROWS. The context is encoded once and copied to every row.
 */
export interface Encoder {
  layout: Layout
  /** Its source, from which `encoderFrom` makes an equal encoder in any thread. */
  source: EncoderSource
  /** One object per candidate; without candidates the context is the only row. */
  rows(context: unknown, candidates: unknown, options: EncodeOptions): EncodedRequest
  /** One array per field. */
  columns(context: unknown, candidates: unknown, options: EncodeOptions): EncodedRequest
  /** Encoded values; every id must be in its field's range. */
  tensors(sparse: unknown, dense: unknown, options: EncodeOptions): EncodedRequest
}

/** The source of an encoder: a manifest's fields, or the columns of a manifestless graph. */
export type EncoderSource =
  | { features: Features; options: Omit<LayoutOptions, keyof Surroundings> }
  | { columns: readonly TensorColumn[] }

/** Receive values that the model doesn't know, and values of lists that are cut. */
export type ValueListeners = Pick<LayoutOptions, 'onUnknown' | 'onCut' | 'onKeys'>

/** Listeners, and the tables of entities. */
export type Surroundings = ValueListeners & Pick<LayoutOptions, 'tables'>

export function encoderFrom(source: EncoderSource, listeners: Surroundings = {}): Encoder {
  return 'columns' in source
    ? createTensorEncoder(source.columns)
    : createEncoder(source.features, { ...source.options, ...listeners })
}

export function createEncoder(features: Features, options: LayoutOptions = {}): Encoder {
  const layout = createLayout(features, options)
  const { onUnknown: _, onCut: __, onKeys: ___, tables: ____, ...rest } = options
  const encoder: Encoder = {
    layout,
    source: { features, options: rest },
    rows: (context, candidates, options) => encodeRows(layout, context, candidates, options),
    columns: (context, candidates, options) => encodeColumns(layout, context, candidates, options),
    tensors: (sparse, dense, options) => encodeTensors(layout, sparse, dense, options),
  }
  return layout.crossed.length === 0 ? encoder : crossing(encoder)
}

/** Fills in the columns of crossed fields, in every form of a request. */
function crossing(encoder: Encoder): Encoder {
  const { layout } = encoder
  const given: Layout = { ...layout, sparse: givenColumns(layout) }
  const width = layout.sparse.length
  const withCrossed = (encoded: EncodedRequest): EncodedRequest => {
    fillCrossed(layout.crossed, encoded.sparse, width, 0, encoded.rows)
    return encoded
  }
  return {
    ...encoder,
    rows: (context, candidates, options) => withCrossed(encoder.rows(context, candidates, options)),
    columns: (context, candidates, options) => withCrossed(encoder.columns(context, candidates, options)),
    tensors(sparse, dense, options) {
      let arrays: RowArrays | undefined
      const allocate = (rows: number) => (arrays = allocateRows(layout, rows, options))
      const narrow = encodeTensors(given, sparse, dense, { ...options, allocate })
      const ids = arrays!.sparse.subarray(0, narrow.rows * width)
      widenRows(ids, narrow.rows, given.sparse.length, width)
      return withCrossed({ ...narrow, sparse: ids })
    },
  }
}

/** An encoder of a manifest's features. */
export function encoderOf(
  manifest: Pick<Manifest, 'features' | 'crossed' | 'entities' | 'graph'>,
  listeners: Surroundings = {},
): Encoder {
  return createEncoder(manifest.features, { ...layoutOptions(manifest), ...listeners })
}

/** A column of an input of a manifestless graph. */
export interface TensorColumn {
  /** The input's name. */
  name: string
  integer: boolean
  /** Rows of the table that it is looked up in, if known. */
  ids: number | undefined
}

/** An encoder for a manifestless graph: it accepts only tensors, since features have no names. */
export function createTensorEncoder(columns: readonly TensorColumn[]): Encoder {
  const sparse = columns.filter(({ integer }) => integer)
  const dense = columns.filter(({ integer }) => !integer)
  const layout: Layout = {
    slots: [],
    byName: new Map(),
    sparse: sparse.map(({ name, ids }) => createBareIntegerEncoder(name, ids)),
    crossed: [],
    groups: [],
    entities: undefined,
    dense: dense.map(({ name }) => createBareNumberEncoder(name)),
    ids: 0,
  }
  const refuse = (): never => {
    const message = `is not possible: the model has no manifest that names features; send {"inputs": …} with ${[...new Set(columns.map(({ name }) => name))].join(', ')}`
    throw invalidRequest([{ path: '/candidates', message }])
  }
  return {
    layout,
    source: { columns },
    rows: refuse,
    columns: refuse,
    tensors: (sparse, dense, options) => encodeTensors(layout, sparse, dense, options),
  }
}
