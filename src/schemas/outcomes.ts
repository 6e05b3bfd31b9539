/*
 * Words that the server and the live page share. Outcomes of predictions, as metrics count them: `ok`, `cancelled`, or
 * the code of the problem in lower case.
 */

/** Events of the live page that take capacity away, and how long after them requests feel it, ms. */
export const losses: readonly string[] = ['worker_replaced', 'process_ended', 'process_silent', 'process_stalled']
export const lossFelt = 20_000

/** Refused or dropped under load. */
export const shedOutcomes: readonly string[] = ['queue_full', 'deadline_exceeded']

/** Rates by name, such as an outcome. */
type Rates = Readonly<Record<string, number>>

/** Without the outcomes that shed requests have, too, and that of clients that left. */
export const failuresIn = (failed: Rates): Rates =>
  Object.fromEntries(Object.entries(failed).filter(([name]) => name !== 'cancelled' && !shedOutcomes.includes(name)))

/** Names with their rates, the most frequent first. */
export const mostFrequent = (rates: Rates): [name: string, rate: number][] =>
  Object.entries(rates).sort(([, a], [, b]) => b - a)

/** The rates of all names together. */
export const sumOf = (rates: Rates): number => Object.values(rates).reduce((sum, rate) => sum + rate, 0)

/** Faults of clients: they have to change. */
export const clientFaults: readonly string[] = ['invalid_request', 'unauthorized', 'forbidden', 'rate_limited']

/** Why requests are missing from the prediction log, as metrics count them. */
export const logDropReasons = ['full', 'too_large', 'disk', 'unreadable'] as const
