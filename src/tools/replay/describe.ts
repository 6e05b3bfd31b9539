import type { ChangedWinner, Collector } from './collect.ts'
import type { Cost } from './cost.ts'
import type { Differences, Sample } from './differences.ts'
import type { ConditionOutcome } from './gate.ts'

/** The report of a replay, as `report.json` has it. */
export interface ReplayReport {
  /** Version of this format. */
  replay: 1
  created: string
  command: string
  multigate: string
  log: string
  model: string
  /** `<model>/<version>`; undefined: the recorded answers. */
  before?: string
  after: string
  requests: number
  rows: number
  /** Candidates without an answer, as tables lack their keys. */
  left_out: number
  warnings: string[]
  tasks: ReplayedTask[]
  /** Candidates by field whose value `after` does not know. */
  unknown: Record<string, number>
  cost: Cost[]
  conditions?: ConditionOutcome[]
}

/** Differences are after − before. */
export interface ReplayedDifferences {
  rows: number
  /** By share, such as 0.05. */
  probability: Record<string, number>
  logit: Record<string, number>
  /** Largest difference of a probability, either way. */
  largest: number
  /** Share of the candidates whose probability is the same within 1e-6. */
  same: number
  /** Means over requests of several candidates; null where there are none. */
  correlation: number | null
  overlap: number | null
  requests: number
  /** Requests whose best candidate is another one. */
  winners: number
}

export interface ReplayedTask extends ReplayedDifferences {
  name: string
  /** Differences of the logit: shares of the candidates between edges. */
  histogram: { edges: number[]; shares: number[] }
  /** The field that explains most first. */
  fields: ReplayedField[]
  slices: { field: string; values: ({ value: string } & ReplayedDifferences)[] }[]
  changed: ChangedWinner[]
}

export interface ReplayedField {
  field: string
  /** Share of the variance of the differences that the field's values go with, ω². */
  explained: number
  values: { value: string; rows: number; mean: number }[]
}

/** Shares of quantiles. */
const shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99] as const
/** Values of a field, and of a slice, that the report has. */
const mostValues = 12
const mostSlices = 20
const bins = 41

export function describeTasks({ tasks }: Collector): ReplayedTask[] {
  const described: ReplayedTask[] = []
  for (const [name, found] of tasks) {
    const fields = [...found.fields].map(
      ([field, byValue]): ReplayedField => ({
        field,
        explained: byValue.explained(found.moments),
        values: byValue
          .list(mostValues, found.moments)
          .map(({ value, moments: { count, mean } }) => ({ value, rows: count, mean })),
      }),
    )
    const slices = [...found.slices].map(([field, values]) => ({
      field,
      values: [...values]
        .map(([value, of]) => ({ value, ...differencesOf(of) }))
        .sort((a, b) => b.rows - a.rows)
        .slice(0, mostSlices),
    }))
    described.push({
      name,
      ...differencesOf(found),
      histogram: histogramOf(found.logit),
      fields: fields.sort((a, b) => b.explained - a.explained),
      slices,
      changed: found.changed,
    })
  }
  return described
}

/** Why a version may differ and keep the order. */
export const orderKept = 'its calibration differs, or what it makes of the context'

/** Whether probabilities differ, and no request has its candidates in another order. */
export const keepsOrder = ({ same, correlation, winners }: ReplayedDifferences): boolean =>
  same < 1 && winners === 0 && correlation !== null && correlation > 1 - 1e-9

function differencesOf(found: Differences): ReplayedDifferences {
  const quantiles = (sample: Sample) =>
    Object.fromEntries(sample.quantiles(shares).map((value, i) => [String(shares[i]), value]))
  const { correlation, overlap, requests, winners, largest, same, rows } = found
  return {
    rows,
    probability: quantiles(found.probability),
    logit: quantiles(found.logit),
    largest,
    same: rows === 0 ? 1 : same / rows,
    correlation: correlation.count > 0 ? correlation.mean : null,
    overlap: overlap.count > 0 ? overlap.mean : null,
    ...{ requests, winners },
  }
}

/** Symmetric about 0; what lies beyond the ends is in the last bins. */
function histogramOf(sample: Sample): ReplayedTask['histogram'] {
  const [low, high] = sample.quantiles([0.005, 0.995]) as [number, number]
  const end = Math.max(Math.abs(low), Math.abs(high))
  if (!(end > 0)) return { edges: [], shares: [] }
  const counts = new Array<number>(bins).fill(0)
  for (const value of sample.values) {
    const bin = Math.floor(((value + end) / (2 * end)) * bins)
    counts[Math.max(0, Math.min(bins - 1, bin))]!++
  }
  return {
    edges: Array.from({ length: bins + 1 }, (_, i) => (i / bins) * 2 * end - end),
    shares: counts.map((count) => count / sample.values.length),
  }
}
