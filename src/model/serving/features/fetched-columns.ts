import { pointer } from '../../../schemas/json.ts'
import type { EncodedContext } from './context.ts'
import type { LayoutEntity } from './entities.ts'
import { requiredMessage } from './field.ts'
import type { EncodedRequest, Layout } from './layout.ts'
import type { Violations } from './problems.ts'

/** Keys of candidates, as a column. */
export interface KeyColumn {
  entity: LayoutEntity
  keys: readonly unknown[]
}

/**
 * Writes what the table has of the candidates with these keys, but for the fields of the context and of `sent`: the
 * columns that the request has. Marks `bad` rows.
 */
export function fillByKeys(
  layout: Layout,
  { entity, keys: given }: KeyColumn,
  { given: ofContext, lists }: EncodedContext,
  sent: ReadonlySet<string>,
  encoded: EncodedRequest,
  bad: Uint8Array,
  problems: Violations,
): void {
  const pathOf = (row: number) => `/candidates${pointer(entity.key)}/${row}`
  const wrong = (row: number, message: string) => {
    bad[row] = 1
    if (!problems.full) problems.add(pathOf(row), message)
  }
  const keys = given.map((key, row) => {
    const text = entity.keyOf(key, pathOf(row), problems)
    if (text === undefined) bad[row] = 1
    return text
  })
  const rows = entity.find(keys)
  // A sequence that the request gives in part has nothing of the table.
  const isSent = (name: string) => {
    const slot = layout.byName.get(name)!
    const members = slot.group?.members ?? [slot]
    return members.some((member) => sent.has(member.name) || ofContext.has(member))
  }
  const widths = { sparse: layout.sparse.length, dense: layout.dense.length }
  const needed = [...entity.slots].filter(({ name, encoder }) => typeof encoder.missing === 'string' && !isSent(name))
  for (let row = 0; row < encoded.rows; row++) {
    const key = keys[row]
    if (key === undefined) continue
    if (rows[row]! < 0) {
      if (entity.refuses) wrong(row, entity.unknownKey(key))
      else for (const { name } of needed) wrong(row, `${entity.unknownKey(key)}, and ${name} ${requiredMessage}`)
      continue
    }
    const absent = entity.fill(rows[row]!, encoded, row, widths, lists && { encoder: lists, row }, isSent)
    for (const value of absent) wrong(row, entity.absentValue(value, key))
    if (lists)
      for (const group of layout.groups)
        if (lists.taken(group) !== undefined && !lists.encode(group, encoded, row)) bad[row] = 1
  }
}
