import { valueFor } from '../../base/maps.ts'

/**
 * The counts of one version since the process started; the version '' of the model '' stands for requests that name
 * none.
 */
export interface VersionCounts {
  model: string
  version: string
  /** Rows that were accepted. */
  rows: number
  /** Requests by outcome: `ok`, `cancelled`, or an error's code. */
  outcomes: Record<string, number>
  /** Requests that were shed, by reason. */
  shed: Record<string, number>
  /** Counts by the buckets of `durations`: from arrival to response, and of each stage. */
  total: number[]
  encode: number[]
  queue: number[]
  infer: number[]
  /** Engine calls, and the rows and requests in them. */
  calls: number
  callRows: number
  callRequests: number
}

/** `model/version`. */
export const versionKey = ({ model, version }: Pick<VersionCounts, 'model' | 'version'>): string =>
  `${model}/${version}`

/** A version that has done nothing. `buckets`: of its histograms. */
export function noCounts(model: string, version: string, buckets = 0): VersionCounts {
  const none = () => new Array<number>(buckets).fill(0)
  const histograms = { total: none(), encode: none(), queue: none(), infer: none() }
  return { model, version, rows: 0, outcomes: {}, shed: {}, ...histograms, calls: 0, callRows: 0, callRequests: 0 }
}

/** Counts of all versions, each created when it is first named. */
export class VersionCountsMap {
  readonly #versions = new Map<string, VersionCounts>()

  of(model: string, version: string): VersionCounts {
    return valueFor(this.#versions, versionKey({ model, version }), () => noCounts(model, version))
  }

  /** Versions that have had a request. */
  used(): VersionCounts[] {
    return [...this.#versions.values()].filter(({ outcomes, shed }) => hasSome(outcomes) || hasSome(shed))
  }
}

function hasSome(counts: Record<string, number>): boolean {
  for (const name in counts) if (counts[name]! > 0) return true
  return false
}
