import { addCounted, type Counted } from '../../model/serving/drift/bins.ts'
import type { Drift, Observed } from '../../model/serving/drift/monitor.ts'

/** Counts of what a version was asked and what it answered. */
export interface Observations {
  /** Recent values by bin, of every field and task of the reference. */
  counted: (Counted & Pick<Observed, 'kind' | 'name'>)[]
  /** Values outside the vocabulary, by field. */
  unknown: ReadonlyMap<string, number>
}

/** Names a version. */
export interface VersionKey {
  model: string
  version: string
}

/** The field or task of a version that moved most. */
export interface VersionDrift extends VersionKey {
  drift: Drift
}

/** The sum of the counts of several processes for the same version. */
export function sumObservations([first, ...others]: readonly Observations[]): Observations | undefined {
  if (first === undefined) return undefined
  const counted = new Map(first.counted.map((one) => [observedKey(one), one]))
  const unknown = new Map(first.unknown)
  for (const other of others) {
    for (const one of other.counted) {
      const sum = counted.get(observedKey(one))
      if (sum !== undefined) counted.set(observedKey(one), { ...sum, ...addCounted(sum, one) })
    }
    for (const [field, count] of other.unknown) unknown.set(field, (unknown.get(field) ?? 0) + count)
  }
  return { counted: [...counted.values()], unknown }
}

/** The largest drift of every version, in any process. */
export function largestDrift(all: readonly VersionDrift[]): VersionDrift[] {
  const largest = new Map<string, VersionDrift>()
  for (const one of all) {
    const key = JSON.stringify([one.model, one.version])
    const known = largest.get(key)
    if (known === undefined || one.drift.psi > known.drift.psi) largest.set(key, one)
  }
  return [...largest.values()]
}

/** Names a field or task. */
export const observedKey = ({ kind, name }: Pick<Observed, 'kind' | 'name'>): string => `${kind} ${name}`
