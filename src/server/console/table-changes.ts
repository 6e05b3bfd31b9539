import type { Readings, TableCondition } from './reading.ts'
import { type Change, error, info, warning } from './traffic-changes.ts'

/** Changes of the feature tables of all processes together: each looks at the folder by itself. */
export function changesOfTables(before: Readings, now: Readings): Change[] {
  const earlier = tablesOf(before)
  const known = new Set(earlier.map(keyOf))
  const changed = new Map(tablesOf(now).flatMap((one) => (known.has(keyOf(one)) ? [] : [[keyOf(one), one]])))
  return [...changed.values()].map(({ table, version, applied }) => {
    const former = earlier.filter((one) => one.table === table)
    const same = former.filter((one) => one.version === version)
    const name = `version ${version} of the table ${table}`
    if (same.length === 0) {
      const versions = [...new Set(former.map((one) => one.version))]
      const after = versions.length === 0 ? '' : `, after version ${versions.join(' and ')}`
      return info('table_read', `The table ${table} is read in version ${version}${after}`)
    }
    return same.every((one) => one.applied < applied)
      ? info('deltas_applied', `Deltas of ${name} were applied`)
      : warning('deltas_reverted', `Deltas of ${name} were reverted: ${applied} left`)
  })
}

/** Versions and deltas that are refused, in any process. */
export const problemsOfTables = (readings: Readings): Change[] =>
  tablesOf(readings).flatMap(({ refused }) => refused.map((text) => error('table_refused', text)))

const tablesOf = ({ answered }: Readings) => answered.flatMap(({ condition: { tables = [] } }) => tables)
const keyOf = ({ table, version, applied }: TableCondition) => `${table} ${version} ${applied}`
