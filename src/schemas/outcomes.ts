/*
 * Outcomes of predictions, as metrics and the live page count them: `ok`, `cancelled`, or the code of the problem in lower case.
 */

/** Refused or dropped under load. */
export const shedOutcomes: readonly string[] = ['queue_full', 'deadline_exceeded']

/** Faults of clients: they have to change. */
export const clientFaults: readonly string[] = ['invalid_request', 'unauthorized', 'forbidden', 'rate_limited']
