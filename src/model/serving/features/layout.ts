import { ModelError, type Violation } from '../../../base/errors.ts'
import type { Entities } from '../../../schemas/entities.ts'
import type { CrossedField, Field, Side } from '../../../schemas/features.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { CandidateIds } from '../../contracts/prediction.ts'
import { type CrossedColumn, crossedIds, sideOf } from './crossed.ts'
import { type EntityListeners, LayoutEntities, type TableSource } from './entities.ts'
import type { FetchNotes } from './fetched.ts'
import {
  createNumericFieldEncoder,
  createSparseFieldEncoder,
  createVectorEncoder,
  createWeightEncoder,
  type FieldEncoder,
  type SparseFieldEncoder,
} from './field.ts'
import { type ColumnGroup, type FieldColumn, groupColumns, type RowArrays } from './field-column.ts'
import type { ListOptions } from './lists.ts'
import type { Violations } from './problems.ts'
import { type InputField, idsOf, inputFields, type OwnedField, paddingOf } from './table.ts'
import { createVocabulary, type Vocabulary } from './vocabulary.ts'

export interface EncodeOptions extends ListOptions {
  /** Maximum rows of a request; more is TOO_MANY_ROWS. */
  maxRows: number
  /** Leave out bad rows and list their problems instead of rejecting the request. */
  partial: boolean
  /** Every candidate must have a bid. */
  bids?: boolean
  /** Problems found earlier; reported together with those of the rows. */
  problems?: Violations
  /** Receives what tables have for the keys of the request. */
  fetched?: FetchNotes | undefined
  /** Candidates that a table does not have may be left out; default: they are refused where they would be. */
  leavesOut?: boolean
  /** Arrays to encode into; default: new arrays. */
  allocate?(rows: number): RowArrays | undefined
}

/**
 * Columns that the rows of a request may have in all, for each value that its lists and vectors may have: rows repeat
 * the context's. By default 4 million, 16 MB: to fill new memory of that size keeps the event loop for 15 ms, and for
 * 2 ms where there was a request like it before.
 */
const columnsPerValue = 4

/** Throws TOO_MANY_ROWS where lists make the rows of a request large. */
export function checkColumns(
  { sparse, dense, groups }: Pick<Layout, 'sparse' | 'dense' | 'groups'>,
  rows: number,
  options: Pick<EncodeOptions, 'maxValues'>,
): void {
  if (groups.length > 0 && rows * (sparse.length + dense.length) > columnsPerValue * (options.maxValues ?? Infinity))
    throw new ModelError(
      'TOO_MANY_ROWS',
      `The request has ${rows} rows of ${sparse.length + dense.length} columns, as its lists and vectors are encoded: more than ${columnsPerValue} times the ${options.maxValues} values of MULTIGATE_MAX_LIST_VALUES`,
    )
}

/** Arrays for the rows of a request. Throws TOO_MANY_ROWS where lists make them large. */
export function allocateRows(
  layout: Pick<Layout, 'sparse' | 'dense' | 'groups'>,
  rows: number,
  options: EncodeOptions,
): RowArrays {
  checkColumns(layout, rows, options)
  return (
    options.allocate?.(rows) ?? {
      sparse: new Int32Array(rows * layout.sparse.length),
      dense: new Float32Array(rows * layout.dense.length),
    }
  )
}

/** A request as tensors. Row-major; columns of sparse and of dense fields each in manifest order. */
export interface EncodedRequest {
  /** Rows of the request, bad ones included. */
  requested: number
  /** Rows encoded: fewer than `requested` if bad rows were left out (`partial`). */
  rows: number
  /** int32 [rows, sparse columns], ids of the shared id space. */
  sparse: Int32Array
  /** float32 [rows, dense columns], scaled. */
  dense: Float32Array
  /** Whether no row has a field of the context of its own. */
  oneContext?: boolean
  /** Requested row of each encoded row, if bad rows were left out. */
  index?: Int32Array
  /** Per requested row, if the request gives them. */
  ids?: CandidateIds
  bids?: (number | undefined)[]
  /** Per requested row, the fields with a value that the model does not know, if requested. */
  unknown?: (string[] | undefined)[]
  /** Per requested row, the lists that were cut, if requested. */
  cut?: (string[] | undefined)[]
  /** Rows of tables for the keys of the request, if requested. */
  fetched?: FetchNotes | undefined
  /** Problems of the rows that are left out. */
  problems: Violation[]
  /** JSON pointer to a row in the request, or to its numeric field `field`. */
  placeOf(row: number, field: string | undefined): string
}

/** A column of ids. */
export type SparseColumn = Omit<SparseFieldEncoder, keyof FieldEncoder> & { field: OwnedField | CrossedSide }

/** A crossed field, and the side that follows from its parts. */
export type CrossedSide = CrossedField & { kind: 'crossed'; side: Side }

/** The columns of a model's fields. */
export interface Layout {
  /** The fields that requests give, in manifest order. */
  slots: FieldColumn[]
  byName: Map<string, FieldColumn>
  /** Crossed fields last; of one made of a list, the same for each of its columns. */
  sparse: SparseColumn[]
  /** The last ones of `sparse`, which are computed from others. */
  crossed: (SparseColumn & CrossedColumn & { field: CrossedSide })[]
  dense: FieldEncoder[]
  /** Sequences, lists and vectors. */
  groups: ColumnGroup[]
  /** Features that come from tables; undefined for a model that has none. */
  entities: LayoutEntities | undefined
  /** Rows of the embedding table. */
  ids: number
}

/** Columns of ids that requests give as tensors. */
export function givenColumns({ sparse, crossed }: Layout): SparseColumn[] {
  return crossed.length === 0 ? sparse : sparse.slice(0, crossed[0]!.column)
}

/** Whether the ids of sparse fields begin at 0: of all, or of those with these names. Others share one id space. */
export type OwnIds = boolean | readonly string[]

/** The fields whose ids begin at 0: those that have a tensor of their own, or all where the manifest says so. */
export function ownIdsOf({ graph: { inputs } }: Pick<Manifest, 'graph'>): OwnIds {
  if (inputs.ids === 'per_field' || (Array.isArray(inputs.sparse) && inputs.sparse.length > 1)) return true
  return Object.keys(inputs.fields ?? {}).filter((name) => inputs.fields![name]!.ids !== undefined)
}

export interface LayoutOptions extends EntityListeners {
  /** Default: false. */
  ownIds?: OwnIds | undefined
  crossed?: readonly CrossedField[] | undefined
  entities?: Entities | undefined
  /** The tables of entities; without them, requests send all features. */
  tables?: TableSource | undefined
  /** Receives the field of every list that is cut, and the number of values that it loses. */
  onCut?: ((field: string, values: number) => unknown) | undefined
}

/** Fields must have passed `tableProblems`, and crossed fields `crossedProblems`. */
export function createLayout(features: readonly Field[], options: LayoutOptions = {}): Layout {
  const { ownIds = false, crossed = [], onUnknown, onCut } = options
  const layout: Layout = {
    slots: [],
    byName: new Map(),
    sparse: [],
    crossed: [],
    dense: [],
    groups: [],
    entities: undefined,
    ids: 0,
  }
  const fields = inputFields(features)
  const tables = placeTables(layout, fields, ownIds)
  for (const field of fields) {
    const slot =
      field.kind === 'numeric' || field.kind === 'vector'
        ? addDense(layout, field, onUnknown)
        : addSparse(layout, field, tables.get((field.owner ?? field).name)!, onUnknown)
    layout.slots.push(slot)
    layout.byName.set(field.name, slot)
  }
  layout.groups = groupColumns(layout.slots, onCut)
  for (const field of crossed) addCrossed(layout, field, ownIds)
  const { entities, tables: source } = options
  if (entities && source) layout.entities = new LayoutEntities(entities, layout.byName, source, options)
  return layout
}

const hasOwnIds = ({ name }: { name: string }, own: OwnIds) => (typeof own === 'boolean' ? own : own.includes(name))

/** A field's table: the first of its ids, and its vocabulary, which the fields that share it have in common. */
interface Table {
  offset: number
  vocabulary: Vocabulary | undefined
}

/** The tables of fields by the name of their owner, in manifest order. */
function placeTables(layout: Layout, fields: readonly InputField[], ownIds: OwnIds): Map<string, Table> {
  const tables = new Map<string, Table>()
  for (const field of fields) {
    if (field.kind === 'numeric' || field.kind === 'vector' || field.owner !== undefined) continue
    const vocabulary = field.kind === 'vocabulary' ? createVocabulary(field.values) : undefined
    const isOwn = hasOwnIds(field, ownIds)
    tables.set(field.name, { offset: isOwn ? 0 : layout.ids, vocabulary })
    if (!isOwn || ownIds === true) layout.ids += idsOf(field)
  }
  return tables
}

/** The options of a manifest's layout. */
export function layoutOptions(manifest: Pick<Manifest, 'crossed' | 'entities' | 'graph'>): LayoutOptions {
  return { crossed: manifest.crossed, entities: manifest.entities, ownIds: ownIdsOf(manifest) }
}

/** The layout of a manifest's fields. */
export function layoutOf(manifest: Pick<Manifest, 'features' | 'crossed' | 'graph'>): Layout {
  return createLayout(manifest.features, layoutOptions(manifest))
}

function addDense(
  layout: Layout,
  field: Extract<InputField, { kind: 'numeric' | 'vector' }>,
  onUnknown?: (field: string) => unknown,
): FieldColumn {
  const encoder = field.kind === 'vector' ? createVectorEncoder(field) : createNumericFieldEncoder(field, onUnknown)
  const width = field.kind === 'vector' ? field.length : (field.list?.max ?? 1)
  const slot: FieldColumn = {
    name: field.name,
    sparse: false,
    column: layout.dense.length,
    width,
    encoder,
    ofContext: field.side === 'context',
    group: undefined,
    padding: 0,
    weights: undefined,
  }
  for (let i = 0; i < width; i++) layout.dense.push(encoder)
  return addWeights(layout, slot)
}

function addSparse(
  layout: Layout,
  field: OwnedField,
  { offset, vocabulary }: Table,
  onUnknown?: (field: string) => unknown,
): FieldColumn {
  const encoder = createSparseFieldEncoder(field, offset, onUnknown, vocabulary)
  const width = field.list?.max ?? 1
  const slot: FieldColumn = {
    name: field.name,
    sparse: true,
    column: layout.sparse.length,
    width,
    encoder,
    ofContext: field.side === 'context',
    group: undefined,
    padding: offset + paddingOf(field),
    weights: undefined,
  }
  for (let i = 0; i < width; i++) layout.sparse.push(encoder)
  return addWeights(layout, slot)
}

/** Adds the columns of a list's weights, if it has any. */
function addWeights(layout: Layout, slot: FieldColumn): FieldColumn {
  const { field } = slot.encoder
  if (field.kind === 'vector' || field.list?.weighted !== true) return slot
  const encoder = createWeightEncoder(field)
  slot.weights = layout.dense.length
  for (let i = 0; i < slot.width; i++) layout.dense.push(encoder)
  return slot
}

function addCrossed(layout: Layout, crossed: CrossedField, ownIds: OwnIds): void {
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
  const isOwn = hasOwnIds(crossed, ownIds)
  const offset = isOwn ? 0 : layout.ids
  const combined = crossedIds(crossed.buckets, parts)
  const part = columns.findIndex(({ group }) => group !== undefined)
  const list = part < 0 ? undefined : crossedList(part, columns[part]!)
  const ids = combined.ids + Number(list !== undefined)
  const given = { field, offset, ids, bucket: undefined, plain: offset, largest: offset + ids - 1 }
  const column = { ...given, column: layout.sparse.length, hashed: combined.hashed, parts, ...(list && { list }) }
  layout.ids += ids
  for (let i = 0; i < (list?.width ?? 1); i++) layout.sparse.push(column)
  layout.crossed.push(column)
}

function crossedList(part: number, { width, padding, group }: FieldColumn): NonNullable<CrossedColumn['list']> {
  return { part, width, padding, group: group!.index }
}
