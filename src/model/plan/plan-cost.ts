import type { Cost } from '../contracts/compiled-plan.ts'
import type { FullCost, RequestRows, Variant } from './variant.ts'
/*
 * What requests cost in a graph of a plan, µs: each in a call of its own, or in one with others.
 */

/** What one request's rows cost by themselves. */
export function costOf({ a, b }: Cost, rows: number): number {
  return rows === 0 ? 0 : a * rows + b
}

/** Whether a request of so many rows costs less in a call of others than in its own. */
function joins({ a, b, joined }: FullCost, rows: number): boolean {
  return joined.a * rows + joined.b < a * rows + b
}

/** What a request's rows cost if all `requests` of a batch share one call: its own part, and its share of the call. */
export function shareOf(cost: FullCost, rows: number, requests: number): number {
  if (rows === 0 || requests === 1 || !joins(cost, rows)) return costOf(cost, rows)
  const { b, joined } = cost
  return Math.min(costOf(cost, rows), joined.a * rows + joined.b + Math.max(0, b - joined.b) / requests)
}

/** What requests of so many rows cost together. */
export function totalOf(cost: FullCost, requests: readonly number[]): number {
  let total = 0
  let joined = 0
  for (const rows of requests)
    if (rows > 0) total += joins(cost, rows) && joined++ > 0 ? cost.joined.a * rows + cost.joined.b : costOf(cost, rows)
  return total
}

/**
 * The calls in which requests cost least: one of all that gain by sharing it, and one for each of the others; more where
 * there are too many rows for one.
 */
export function callsOf(
  { cost, mostRows }: Pick<Variant, 'cost' | 'mostRows'>,
  requests: readonly RequestRows[],
): RequestRows[][] {
  const pieces = requests.flatMap((request) => cut(request, mostRows))
  const joined = pieces.filter(({ rows }) => joins(cost, rows.length))
  if (joined.length < 2) return pieces.map((piece) => [piece])
  const calls = pieces.filter(({ rows }) => !joins(cost, rows.length)).map((piece) => [piece])
  let call: RequestRows[] = []
  let taken = 0
  for (const piece of joined) {
    taken += piece.rows.length
    if (call.length === 0 || taken > mostRows) {
      call = []
      calls.push(call)
      taken = piece.rows.length
    }
    call.push(piece)
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
