import { grouped } from '../../base/terminal.ts'
import type { JoinedTable } from '../../schemas/joined-table.ts'

/** Which features are from a table, and how many rows it knows nothing of. */
export function describeTable(table: JoinedTable): string {
  const { name, version, rows, created_at, key, features, unknown, without_key: without } = table
  const lacking = unknown === 0 ? 'it has the keys of all rows' : `it lacks the keys of ${grouped(unknown)} rows`
  const keyless = without === 0 ? '' : `, and ${grouped(without)} have none`
  return `from the table ${name}/${version} by ${key}: ${features.join(', ')}; ${grouped(rows)} rows of ${created_at}, ${lacking}${keyless}`
}
