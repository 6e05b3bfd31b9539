import type { Violation } from '../../base/errors.ts'
import { suggestNames } from '../../base/names.ts'
import { isObject } from '../../schemas/json.ts'
import type { Publish } from '../../schemas/publish.ts'

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

/**
 * Tasks of conditions, which may be malformed, that are none of `labelled`: no metric of them is known. `path`: of the
 * conditions.
 */
export function unlabelledTasks(publish: unknown, path: string, labelled: readonly string[]): Violation[] {
  const metrics = isObject(publish) && isObject(publish.metrics) ? Object.keys(publish.metrics) : []
  return metrics
    .filter((task) => !labelled.includes(task))
    .map((task) => ({
      path: `${path}/metrics/${task}`,
      message: `the rows have no labels of ${task}${suggestNames(task, labelled, 'they have those of')}`,
    }))
}
