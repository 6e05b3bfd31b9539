import { checkRowCount } from '../../../model/serving/features/context.ts'
import type { FieldColumn } from '../../../model/serving/features/field-column.ts'
import type { Layout } from '../../../model/serving/features/layout.ts'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import { closestName } from '../../../schemas/closest-name.ts'
import type { InferDatatype, InferInput } from '../../../schemas/infer.ts'
import type { RequestModel } from '../../body/body-format.ts'
import { datatypes } from './infer-datatypes.ts'
import {
  checkValueCount,
  type ListParts,
  type ListTensors,
  listColumn,
  listRows,
  onlyList,
  partOf,
  reserved,
} from './infer-lists.ts'
import { type InferBody, listed } from './infer-request.ts'
import {
  createTensorReader,
  flat,
  numberType,
  readInputs,
  shapeText,
  type TensorReader,
  wrongOf,
} from './infer-tensors.ts'

/** Whether requests may name a tensor so, in place of encoded ones. */
const isFeature = (layout: Layout, name: string): boolean => partOf(layout, name) !== undefined

/**
 * The rows of a request: its tensors are the graph's own inputs, encoded; or each is a feature by its name, where the
 * model has a manifest. Throws INVALID_REQUEST.
 */
export function readRows(
  body: InferBody,
  { tensors, encoder: { layout }, manifestless, limits }: RequestModel,
): QueryRows {
  const { inputs } = body.request
  const isInput = (name: string) => tensors.inputs.some((input) => input.name === name)
  // A graph may have an input a field, called as the field is: there a string says that it is a feature.
  const byName = inputs.some(
    ({ name, datatype }) => isFeature(layout, name) && (datatype === 'BYTES' || !isInput(name)),
  )
  // Before anything is made for each of them. Rows of lists are counted where their tensors are put together.
  const isCounted = (name: string) => !byName || (partOf(layout, name)?.is ?? 'value') === 'value'
  for (const { name, shape } of inputs)
    if (isCounted(name)) checkRowCount(shape[0] ?? 0, { maxRows: limits.maxRequestRows })
  if (manifestless || !byName) {
    for (const tensor of inputs)
      if (!isInput(tensor.name) && !manifestless)
        throw wrongOf(tensor)(unknownTensor(tensor.name, tensors.inputs, layout))
    return { form: 'inputs', inputs: readInputs(body, tensors.inputs) }
  }
  for (const tensor of inputs) {
    if (isFeature(layout, tensor.name)) continue
    const mixed = 'is an encoded tensor, and stands beside features by name: one of both is possible'
    throw wrongOf(tensor)(isInput(tensor.name) ? mixed : unknownTensor(tensor.name, tensors.inputs, layout))
  }
  return readFeatures(body, layout, limits)
}

function unknownTensor(wrong: string, inputs: readonly { name: string }[], { slots, entities }: Layout): string {
  const keys = entities?.all.map(({ key }) => key) ?? []
  const meant = closestName(wrong, [...[...inputs, ...slots].map(({ name }) => name), ...keys])
  const suggestion = meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
  const byKey = keys.length > 0 ? `, or the keys ${listed(keys)}` : ''
  const features = slots.length > 0 ? `, or the features ${listed(slots.map(({ name }) => name))}${byKey}` : ''
  return `is not known${suggestion}: the model has ${listed(inputs.map(({ name }) => name))}${features}`
}

/** A column of features, and the tensor that it is named by. */
interface Column {
  tensor: InferInput
  rows: number
  /** As `POST /predict` has it; and the value of its only row. */
  values: unknown
  only(): unknown
  slot: FieldColumn | undefined
}

/**
 * Each field a column; those of one row beside longer ones hold for all rows. Lists and vectors do so by their field's
 * side: only those of the context.
 */
function readFeatures(body: InferBody, layout: Layout, limits: RequestModel['limits']): QueryRows {
  const columns = readColumns(body, layout, limits)
  const rows = columns.reduce((most, column) => Math.max(most, column.rows), 0)
  const context: Record<string, unknown> = {}
  const candidates: Record<string, unknown> = {}
  for (const { tensor, rows: own, values, only, slot } of columns) {
    const name = slot?.name ?? tensor.name
    const isLists = slot?.group !== undefined
    const entity = layout.entities?.byKey.get(name)
    const holds = isLists
      ? slot.encoder.field.side === 'context'
      : !reserved.includes(name) && entity?.side !== 'candidate'
    // A name may be that of a property that objects have of their own, or __proto__.
    if (own === rows) Object.defineProperty(candidates, name, property(values))
    else if (own === 1 && holds) Object.defineProperty(context, name, property(only()))
    else if (!isLists) throw wrongOf(tensor)(`has ${own} values where the request has ${rows} rows`)
    else {
      const what = slot.group!.exact ? 'vector' : 'list'
      const why = own === 1 ? `: one ${what} holds for all of them only if it is the context's` : ''
      throw wrongOf(tensor)(`has ${own} ${what}${own === 1 ? '' : 's'} where the request has ${rows} rows${why}`)
    }
  }
  return { form: 'columns', context, candidates }
}

const property = (value: unknown) => ({ value, enumerable: true })

/** Reads all tensors, in their order. */
function readColumns({ request, binary }: InferBody, layout: Layout, limits: RequestModel['limits']): Column[] {
  const lists = new Map<FieldColumn, { tensors: ListTensors; parts: ListParts; rows: number }>()
  for (const tensor of request.inputs) {
    const { is, slot } = partOf(layout, tensor.name)!
    if (is === 'value') continue
    const before = lists.get(slot!)
    if (before !== undefined) before.tensors[is] = tensor
    else lists.set(slot!, { tensors: { [is]: tensor }, parts: {}, rows: 0 })
  }
  for (const [slot, list] of lists) {
    list.rows = listRows(slot, list.tensors)
    checkRowCount(list.rows, { maxRows: limits.maxRequestRows })
  }
  checkValueCount(
    [...lists.values()].map(({ tensors }) => tensors),
    limits.maxListValues,
  )
  const reader = createTensorReader(binary)
  const columns: Column[] = []
  for (const tensor of request.inputs) {
    const { is, slot } = partOf(layout, tensor.name)!
    if (is !== 'value') {
      const { shape } = tensor
      lists.get(slot!)!.parts[is] = readTensor(reader, tensor, shape[0]!, shape[1], is === 'values' ? 'all' : is)
      continue
    }
    const values = readColumn(reader, tensor)
    columns.push({ tensor, rows: values.length, values, only: () => values[0], slot })
  }
  reader.end()
  for (const [slot, { tensors, parts, rows }] of lists) {
    const values = listColumn(rows, parts)
    columns.push({ tensor: tensors.values!, rows, values, only: () => onlyList(slot, values, tensors), slot })
  }
  return columns
}

function readColumn(reader: TensorReader, tensor: InferInput): unknown[] {
  const { shape } = tensor
  const [rows, side] = shape
  if (rows === undefined || rows === 0 || shape.length > 2 || (shape.length === 2 && side !== 1))
    throw wrongOf(tensor)(
      `must have the shape [rows] or [rows, 1] with at least one row, not ${shapeText(shape)}${isList(side)}`,
    )
  const values = readTensor(reader, tensor, rows, undefined, 'all')
  return Array.isArray(values) ? values : Array.from(values)
}

const isList = (side: number | undefined) => (side === undefined ? '' : ': the field is no list')

/** Values [rows], or [rows, width]: strings or numbers, or only numbers. */
function readTensor(
  reader: TensorReader,
  tensor: InferInput,
  rows: number,
  width: number | undefined,
  takes: 'all' | 'offsets' | 'weights',
): unknown[] | ArrayLike<number> {
  const wrong = wrongOf(tensor)
  const side = width ?? 1
  const data = () => flat(tensor, rows, { dims: [side], width: side }, wrong)
  const datatype = numberType(tensor.datatype)
  const taken = [
    ...(takes === 'all' ? ['BYTES'] : []),
    ...Object.keys(datatypes).filter((name) => takes !== 'offsets' || datatypes[name as InferDatatype].integer),
  ]
  if (!taken.includes(tensor.datatype)) {
    const name = JSON.stringify(tensor.datatype.slice(0, 64))
    throw wrong(`can't have the datatype ${name}: it takes ${taken.join(', ')}`)
  }
  const values =
    datatype === undefined
      ? reader.strings(tensor, rows * side, data, wrong)
      : reader.numbers(tensor, datatype, rows * side, data, wrong)
  if (!('message' in values)) return values
  const { index, message } = values
  throw wrong(message, width === undefined ? `[${index}]` : `[${Math.floor(index / side)}, ${index % side}]`)
}
