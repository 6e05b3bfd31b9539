import type { Violation } from '../model/base/errors.ts'
import { check } from '../schemas/check.ts'
import { type Epoch, Epoch as EpochSchema } from '../schemas/evaluation.ts'
import { isObject } from '../schemas/json.ts'

/** The training history in a version's provenance; undefined if it has none. */
export function historyOf(provenance: unknown): Epoch[] | undefined {
  if (!isObject(provenance) || !Array.isArray(provenance.history)) return undefined
  const problems: Violation[] = []
  const epochs = provenance.history.map((epoch) => check(EpochSchema, epoch, '', problems) as Epoch)
  return problems.length === 0 && epochs.length > 0 ? epochs : undefined
}
