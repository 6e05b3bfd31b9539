import type { Violation } from '../model/base/errors.ts'
import type { Publish } from '../schemas/rows-spec.ts'

/** Bounds of publishing that no metric can meet. `path`: of the conditions. */
export function publishProblems(publish: Publish | undefined, path: string): Violation[] {
  return Object.entries(publish?.metrics ?? {}).flatMap(([task, bounds]) =>
    Object.entries(bounds).flatMap(([metric, { min, max }]): Violation[] =>
      min !== undefined && max !== undefined && min > max
        ? [{ path: `${path}/metrics/${task}/${metric}`, message: `min ${min} is above max ${max}` }]
        : [],
    ),
  )
}
