import type { JoinedTable } from '../../schemas/joined-table.ts'
import { counted } from './report/base/numbers.ts'

/** Which features are from a table, and how many rows it knows nothing of. */
export function describeTable(table: JoinedTable): string {
  const { name, version, rows, created_at, deltas, key, features, unknown, without_key: without } = table
  const lacking = unknown === 0 ? 'it has the keys of all rows' : `it lacks the keys of ${counted(unknown, 'row')}`
  const changed = deltas === 0 ? '' : ` with ${counted(deltas, 'delta')}`
  const keyless = without === 0 ? '' : `, and ${counted(without, 'row has', 'rows have')} none`
  return `from the table ${name}/${version} by ${key}: ${features.join(', ')}; ${counted(rows, 'row')} of ${created_at}${changed}, ${lacking}${keyless}`
}
