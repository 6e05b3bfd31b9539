import { counted } from '../../base/terminal.ts'
import type { JoinedTable } from '../../schemas/joined-table.ts'

/** Which features are from a table, and how many rows it knows nothing of. */
export function describeTable(table: JoinedTable): string {
  const { name, version, rows, created_at, deltas, key, features, service, without_key: without } = table
  const changed = deltas === 0 ? '' : ` with ${counted(deltas, 'delta')}`
  const keyless = without === 0 ? '' : `, and ${counted(without, 'row has', 'rows have')} no key`
  return `from the ${service ? "service's " : ''}table ${name}/${version} by ${key}: ${features.join(', ')}; ${counted(rows, 'row')} of ${created_at}${changed}${lackingIn(table)}${keyless}`
}

function lackingIn({ unknown, left_out: left = 0 }: JoinedTable): string {
  if (unknown === undefined) return ''
  if (unknown === 0) return ', it has the keys of all rows'
  const lacking = `, it lacks the keys of ${counted(unknown, 'row')}`
  return left === 0
    ? lacking
    : `${lacking}, which ${left === 1 ? 'is' : 'are'} left out, as a server does not answer them`
}

/** Warnings of tables that are read without some of their deltas, as a server reads them, too. */
export function tableWarnings(tables: readonly JoinedTable[] | undefined): string[] {
  return (tables ?? []).flatMap(({ name, version, refused_delta: refused }) =>
    refused === undefined
      ? []
      : [
          `the table ${name}/${version} is read without ${refused.file} and later deltas, as a server reads it: ${refused.reason}`,
        ],
  )
}
