import { reasonOf } from '../../../base/errors.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import { prepareSmall } from './prepare.ts'
import type { Prepared, PrepareRequest } from './prepare-request.ts'

/**
 * `prepare` in a thread of its own, or a small plan from the cache in this one. Never rejects: a thread that dies is
 * reported as any other problem. Tests replace `script`, which the thread runs.
 */
export async function prepareInThread(
  request: PrepareRequest,
  script = new URL('./prepare-thread.js', import.meta.url),
): Promise<Prepared> {
  const prepared = await prepareSmall(request)
  if (prepared) return prepared
  try {
    return await runThread<Prepared>(script, request)
  } catch (error) {
    return { plan: undefined, problem: `compiling failed: ${reasonOf(error)}`, warnings: [] }
  }
}
