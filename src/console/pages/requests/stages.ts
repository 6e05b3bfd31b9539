import type { RequestRecord } from '../../../schemas/requests.ts'

export type { RequestRecord }

export interface Stage {
  name: 'read' | 'queue' | 'compute' | 'write'
  /** What happens in it. */
  about: string
  colour: string
}

export const stages: readonly Stage[] = [
  {
    name: 'read',
    about: 'The body arrives, is parsed, and its values become tensors.',
    colour: 'var(--series-1)',
  },
  { name: 'queue', about: 'Its rows wait for a worker.', colour: 'var(--series-2)' },
  { name: 'compute', about: 'Workers compute its rows, in batches with other requests.', colour: 'var(--series-3)' },
  { name: 'write', about: 'The answer is written and sent to the client.', colour: 'var(--series-4)' },
]

/** A stage of a request: when it began and how long it took, ms. */
export interface StageTime {
  stage: Stage
  start: number
  ms: number
}

/** The stages that a request reached, in order. */
export function timesOf(record: RequestRecord): StageTime[] {
  let start = 0
  return stages.flatMap((stage) => {
    const ms = record[`${stage.name}_ms`]
    if (ms === undefined) return []
    const time = { stage, start, ms }
    start += ms
    return [time]
  })
}

/** The share that each stage has in the time of all these requests. */
export function sharesOf(records: readonly RequestRecord[]): { stage: Stage; share: number }[] {
  const total = records.reduce((sum, { total_ms }) => sum + total_ms, 0)
  return stages.map((stage) => {
    const ms = records.reduce((sum, record) => sum + (record[`${stage.name}_ms`] ?? 0), 0)
    return { stage, share: total > 0 ? ms / total : 0 }
  })
}
