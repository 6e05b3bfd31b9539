import type { FieldDistribution } from '../../../schemas/model-versions.ts'
import type { FieldDetails } from '../../../schemas/models.ts'
import { nameOfDefault, number, percent } from '../../parts/format.ts'
import { usualLength } from './drift-rows.ts'

/** The distribution of a field in the rows that the version was judged on. */
export type Reference = Pick<FieldDistribution, 'bins' | 'lengths'>

/** Values of a list that are named with their shares. */
const mostNamed = 3

/** How a field that is a list is, or that shares a table, line by line; nothing of any other. */
export function describeSeveral({ list, sequence, table }: FieldDetails, reference: Reference | undefined): string[] {
  const lines: string[] = []
  if (list !== undefined) {
    const { max, keep = 'first', weighted } = list
    const weight = weighted ? ', with a weight each' : ''
    lines.push(`list of at most ${number(max, 9)}${weight}; of a longer one the ${keep} are kept`)
  }
  if (sequence !== undefined) lines.push(`in the sequence ${sequence}: as long as its other lists`)
  if (table !== undefined) lines.push(`shares the table of ${table}`)
  if (list === undefined || reference === undefined) return lines
  const usual = usualLength(reference.lengths?.bins)
  const named = reference.bins.filter(({ value, low, high }) => value !== undefined && (low ?? high) === undefined)
  const shares = named.slice(0, mostNamed).map(({ label, then }) => `${label} ${percent(then)}`)
  if (usual !== undefined) lines.push(`in the test rows mostly ${rangeOf(usual)}`)
  if (shares.length > 0) lines.push(`most frequent there: ${shares.join(', ')}`)
  return lines
}

function rangeOf([low, high]: [number, number]): string {
  if (low !== high) return `${number(low, 9)} to ${number(high, 9)} values`
  return low === 1 ? '1 value' : `${number(low, 9)} values`
}

/** The values that a field takes, in a line to compare. */
export function describeField(field: FieldDetails): string {
  const { side, kind, values, length, maximum, encoding, required } = field
  const size = values?.count ?? encoding.buckets ?? (maximum === undefined ? undefined : maximum + 1)
  const parts = [
    side,
    kind,
    encoding.hash ?? '',
    size === undefined ? '' : `${number(size, 9)} values`,
    length === undefined ? '' : `${number(length, 9)} numbers`,
    ...describeSeveral(field, undefined),
    required ? 'required' : `default ${nameOfDefault(field)}`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}
