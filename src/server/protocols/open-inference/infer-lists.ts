import { product } from '../../../base/arrays.ts'
import type { FieldColumn } from '../../../model/serving/features/field-column.ts'
import type { Layout } from '../../../model/serving/features/layout.ts'
import { readListColumn } from '../../../model/serving/features/list-columns.ts'
import type { InferInput } from '../../../schemas/infer.ts'
import { called } from './infer-request.ts'
import { shapeText, wrongOf } from './infer-tensors.ts'

/*
 * Lists and vectors by name: one tensor [rows, n] where all are equally long; or the values of all lists, [values], and
 * beside them `tags.offsets` [rows + 1], where the list of each row begins and the last one ends. The weights of a list
 * stand in `tags.weights`, in the shape of its values.
 */

/** A tensor of a model's field: a value per row, or a part of a column of lists. */
export interface FieldPart {
  is: 'value' | 'values' | 'offsets' | 'weights'
  /** Undefined for `id`, `bid` and keys of entities. */
  slot: FieldColumn | undefined
}

/** Properties that candidates have beside features. */
export const reserved = ['id', 'bid']

export const offsetsName = (name: string) => `${name}.offsets`
export const weightsName = (name: string) => `${name}.weights`

/** Undefined where the name is none of a field. */
export function partOf({ byName, entities }: Layout, name: string): FieldPart | undefined {
  const slot = byName.get(name)
  if (slot !== undefined) return { is: slot.group === undefined ? 'value' : 'values', slot }
  if (reserved.includes(name) || entities?.byKey.has(name)) return { is: 'value', slot }
  const point = name.lastIndexOf('.')
  const list = point < 0 ? undefined : byName.get(name.slice(0, point))
  if (list?.group === undefined || list.group.exact) return undefined
  if (name === offsetsName(list.name)) return { is: 'offsets', slot: list }
  return name === weightsName(list.name) ? { is: 'weights', slot: list } : undefined
}

/** The tensors of a column of lists. */
export type ListTensors = Partial<Record<'values' | 'offsets' | 'weights', InferInput>>

/** Rows of a column of lists. Throws INVALID_REQUEST where its tensors don't fit each other by their shapes. */
export function listRows(slot: FieldColumn, tensors: ListTensors): number {
  const { values, offsets, weights } = tensors
  if (values === undefined)
    throw wrongOf((offsets ?? weights)!)(`belongs to ${called('input', slot.name)}, which is not given`)
  const { shape } = values
  checkShape(slot, values, offsets)
  if (weights !== undefined && slot.weights === undefined)
    throw wrongOf(weights)('is given, but the list has no weights')
  if (weights !== undefined && weights.shape.join() !== shape.join())
    throw wrongOf(weights)(`must have the shape of the values, ${shapeText(shape)}, not ${shapeText(weights.shape)}`)
  if (offsets === undefined) return shape[0]!
  const [ends = 0] = offsets.shape
  if (offsets.shape.length === 1 && ends >= 2) return ends - 1
  const wanted = 'must have the shape [rows + 1], where each list begins and the last one ends,'
  throw wrongOf(offsets)(`${wanted} not ${shapeText(offsets.shape)}`)
}

function checkShape({ name, group, width }: FieldColumn, values: InferInput, offsets: InferInput | undefined): void {
  const { shape } = values
  const [rows, side] = shape
  const beside = `[values] beside ${JSON.stringify(offsetsName(name))}`
  if (offsets !== undefined) {
    if (shape.length !== 1) throw wrongOf(values)(`must have the shape ${beside}, not ${shapeText(shape)}`)
    return
  }
  const { exact } = group!
  if (shape.length === 2 && rows! > 0 && (!exact || side === width)) return
  const wanted = `[rows, ${exact ? width : 'n'}] with at least one row`
  throw wrongOf(values)(`must have the shape ${wanted}${exact ? '' : `, or ${beside}`}, not ${shapeText(shape)}`)
}

/** Throws INVALID_REQUEST where lists hold more values than a request may have: before any is read. */
export function checkValueCount(lists: Iterable<ListTensors>, maxValues = Number.POSITIVE_INFINITY): void {
  let left = maxValues
  for (const { values } of lists) {
    left -= product(values!.shape)
    if (left < 0)
      throw wrongOf(values!)(
        `has values beyond the ${maxValues} that the lists and vectors of a request may have in all`,
      )
  }
}

/** The values of a column's tensors. */
export type ListParts = Partial<Record<'values' | 'offsets' | 'weights', ArrayLike<unknown>>>

/** A column of lists as `POST /predict` has it. */
export interface ListsGiven {
  values: ArrayLike<unknown>
  offsets: ArrayLike<unknown>
  weights?: ArrayLike<unknown>
}

/** The columns that were read, checked no further. */
export function listColumn(rows: number, { values, offsets, weights }: ListParts): ListsGiven {
  const lists = { values: values!, offsets: offsets ?? equalOffsets(rows, values!.length / rows) }
  return weights === undefined ? lists : { ...lists, weights }
}

function equalOffsets(rows: number, length: number): Int32Array {
  return Int32Array.from({ length: rows + 1 }, (_, row) => row * length)
}

/** The list of a column that has only one, which holds for all rows. Throws INVALID_REQUEST where its offsets lie. */
export function onlyList(slot: FieldColumn, column: ListsGiven, { offsets }: ListTensors): unknown {
  readListColumn(slot, { ...column }, (place, message) => {
    throw wrongOf(offsets!)(message, place.replace(/^\/offsets\/(\d+)$/, '[$1]'))
  })
  const { values, weights } = column
  return weights === undefined ? values : { values, weights }
}
