import type { Violation } from '../../model/base/errors.ts'
import { inTerms, translated } from '../../model/features/problems.ts'
import type { PendingPrediction } from '../../model/prediction/contract.ts'

/** Asks a model; reports the request's problems, while it is read or computed, in a protocol's own terms. */
export function askInTerms(
  inTermsOf: (problem: Violation) => Violation,
  ask: () => PendingPrediction,
): PendingPrediction {
  const pending = inTerms(inTermsOf, ask)
  return {
    ...pending,
    table: pending.table.catch((error) => {
      throw translated(error, inTermsOf)
    }),
  }
}
