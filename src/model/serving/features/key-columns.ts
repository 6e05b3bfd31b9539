import { pointer } from '../../../schemas/json.ts'
import { type EncodedContext, readKey } from './context.ts'
import type { LayoutEntity } from './entities.ts'
import { FetchedRows, type FetchNotes, type LeftOut, widthsOf } from './fetched.ts'
import type { FieldColumn } from './field-column.ts'
import type { EncodedRequest, Layout } from './layout.ts'
import type { Violations } from './problems.ts'

/** Keys of an entity, as a column of candidates. */
export interface KeyColumn {
  entity: LayoutEntity
  keys: readonly unknown[]
}

/** The columns of keys. */
export function keyColumnsOf(
  { entities }: Layout,
  columns: readonly { name: string; values: unknown[]; lists: unknown }[],
): KeyColumn[] {
  if (entities === undefined) return []
  return columns.flatMap(({ name, values, lists }) => {
    const entity = lists === undefined ? entities.byKey.get(name) : undefined
    return entity ? [{ entity, keys: values }] : []
  })
}

/**
 * Writes what the table has for these keys, but for fields of the context and those that are `sent` as columns. Marks
 * `bad` rows.
 */
export function fillByKeys(
  layout: Layout,
  { entity, keys: given }: KeyColumn,
  { given: ofContext, lists }: EncodedContext,
  sent: ReadonlySet<FieldColumn>,
  encoded: EncodedRequest,
  sinks: { bad: Uint8Array; problems: Violations; left: LeftOut | undefined; notes: FetchNotes | undefined },
): void {
  const { bad, problems, left, notes } = sinks
  const pathOf = (row: number) => `/candidates${pointer(entity.key)}/${row}`
  const areTexts = given.every((key) => typeof key === 'string')
  const keys = areTexts ? (given as string[]) : given.map((key, row) => readKey(key, pathOf(row), problems))
  const fetched = new FetchedRows(entity, keys)
  const isSent = (slot: FieldColumn) => sent.has(slot) || ofContext.has(slot)
  fetched.fill(encoded, widthsOf(layout), { has: isSent })
  if (fetched.complete && lists === undefined && notes === undefined) return
  for (let row = 0; row < encoded.rows; row++) {
    const place = { path: pathOf(row), isSent }
    fetched.note(row, place, notes, row)
    const candidates = entity.side === 'candidate' ? left : undefined
    if (!fetched.check(row, place, lists, { problems, left: candidates })) bad[row] = 1
    if (lists)
      for (const group of layout.groups)
        if (lists.taken(group) !== undefined && !lists.encode(group, encoded, row)) bad[row] = 1
  }
}
