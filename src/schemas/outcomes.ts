/*
 * Words that the server and the live page share. Outcomes of predictions, as metrics count them: `ok`, `cancelled`, or
 * the code of the problem in lower case.
 */

/** Events of the live page that take capacity away, and how long after them requests feel it, ms. */
export const losses: readonly string[] = ['worker_replaced', 'process_ended', 'process_silent', 'process_stalled']
export const lossFelt = 20_000

/** Refused or dropped under load. */
export const shedOutcomes: readonly string[] = ['queue_full', 'deadline_exceeded']

/** Faults of clients: they have to change. */
export const clientFaults: readonly string[] = ['invalid_request', 'unauthorized', 'forbidden', 'rate_limited']
