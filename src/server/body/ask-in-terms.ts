import type { Violation } from '../../model/base/errors.ts'
import { inTerms, translated } from '../../model/features/problems.ts'
import type { PendingPrediction } from '../../model/prediction/contract.ts'

/** Asks a model; what is wrong with the request, when it is read or when it is computed, is reported in a protocol's own terms. */
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
