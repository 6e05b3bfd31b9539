import { Worker } from 'node:worker_threads'
import { reasonOf } from '../base/errors.ts'
import { sendNoUsageData } from '../base/usage-data.ts'
import type { Prepared, PrepareRequest } from './prepare-request.ts'

/**
 * `prepare` in a thread of its own. Never rejects: a thread that dies is a problem like any other. `script` is what the
 * thread runs; replaceable in tests.
 */
export function prepareInThread(
  request: PrepareRequest,
  script = new URL('./prepare-thread.js', import.meta.url),
): Promise<Prepared> {
  sendNoUsageData()
  return new Promise((resolve) => {
    const worker = new Worker(script, { workerData: request })
    const fail = (problem: string) => resolve({ plan: undefined, problem, warnings: [] })
    worker.once('message', resolve)
    worker.once('error', (error) => fail(`compiling failed: ${reasonOf(error)}`))
    worker.once('exit', (code) => fail(`the compiling thread ended with exit code ${code}`))
  })
}
