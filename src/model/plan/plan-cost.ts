import type { Cost } from '../contracts/compiled-plan.ts'
import type { FullCost, RequestRows, Variant } from './variant.ts'

/*
 * What requests cost in a variant, µs: each in a call of its own, or sharing a call.
 */

/** The cost of one request's rows in a call of their own. */
export function costOf({ a, b }: Cost, rows: number): number {
  return rows === 0 ? 0 : a * rows + b
}

/** Whether a request of `rows` rows costs less in another's call than in its own. */
function joins({ a, b, joined }: FullCost, rows: number): boolean {
  return joined.a * rows + joined.b < a * rows + b
}

/** The cost of a request's rows when all `requests` of a batch share one call: its rows, and its share of the call. */
export function shareOf(cost: FullCost, rows: number, requests: number): number {
  if (rows === 0 || requests === 1 || !joins(cost, rows)) return costOf(cost, rows)
  const { b, joined } = cost
  return Math.min(costOf(cost, rows), joined.a * rows + joined.b + Math.max(0, b - joined.b) / requests)
}

/** The cost of requests together, given the rows of each. */
export function totalOf(cost: FullCost, requests: readonly number[]): number {
  let total = 0
  let joined = 0
  for (const rows of requests)
    if (rows > 0) total += joins(cost, rows) && joined++ > 0 ? cost.joined.a * rows + cost.joined.b : costOf(cost, rows)
  return total
}

/**
 * The cheapest calls for the requests: one shared by all that gain from sharing, and one for each of the others; more
 * where a call would exceed `mostRows`.
 */
export function callsOf(
  { cost, mostRows }: Pick<Variant, 'cost' | 'mostRows'>,
  requests: readonly RequestRows[],
): RequestRows[][] {
  if (requests.length === 1 && requests[0]!.rows.length <= mostRows) return [[...requests]]
  const parts = requests.flatMap((request) => cut(request, mostRows))
  const joined = parts.filter(({ rows }) => joins(cost, rows.length))
  if (joined.length < 2) return parts.map((part) => [part])
  const calls = parts.filter(({ rows }) => !joins(cost, rows.length)).map((part) => [part])
  let call: RequestRows[] = []
  let taken = 0
  for (const part of joined) {
    taken += part.rows.length
    if (call.length === 0 || taken > mostRows) {
      call = []
      calls.push(call)
      taken = part.rows.length
    }
    call.push(part)
  }
  return calls
}

function cut({ rows, slots }: RequestRows, most: number): RequestRows[] {
  if (rows.length <= most) return [{ rows, ...(slots && { slots }) }]
  return Array.from({ length: Math.ceil(rows.length / most) }, (_, i) => {
    const [start, end] = [i * most, (i + 1) * most]
    return { rows: rows.subarray(start, end), ...(slots && { slots: slots.subarray(start, end) }) }
  })
}
