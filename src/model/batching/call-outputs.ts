import type { Outputs } from '../contracts/engine.ts'
import type { Job, JobSlice } from './job.ts'
import { slice } from './tensors.ts'

/* The outputs of one engine call over slices of several requests. */

/** Every output that one of the requests wants, each once. */
export function wantedOutputs(slices: readonly JobSlice[]): string[] {
  const [first] = slices
  if (slices.every(({ job }) => job.request.wanted === first?.job.request.wanted))
    return [...(first?.job.request.wanted ?? [])]
  return [...new Set(slices.flatMap(({ job }) => job.request.wanted))]
}

/**
 * Gives each live request its rows of a call's outputs; calls `complete` for requests that have all their rows then.
 * Throws before any request receives rows if the outputs do not fit: then every slice can be retried.
 */
export function distribute(
  slices: readonly JobSlice[],
  outputs: Outputs,
  complete: (job: Job, outputs: Outputs) => void,
): void {
  const rows = countRows(slices)
  let row = 0
  const parts = slices.map(({ job, count }) => {
    const part = slice(outputs, job.request.wanted, rows, row, count)
    row += count
    return part
  })
  for (const [i, { job, start, count }] of slices.entries()) {
    if (job.settled) continue
    const all = job.add(parts[i]!, start, count)
    if (all !== undefined) complete(job, all)
  }
}

export function countRows(slices: readonly JobSlice[]): number {
  return slices.reduce((sum, { count }) => sum + count, 0)
}
