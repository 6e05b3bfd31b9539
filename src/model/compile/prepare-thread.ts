import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { prepare } from './prepare.ts'
import type { PrepareRequest } from './prepare-request.ts'

/*
 * A thread that compiles one graph and ends, so that compiling never blocks the event loop that answers requests. Where
 * threads have priorities of their own, as on Linux, it gives way to those that answer.
 */

try {
  if (process.platform === 'linux') setPriority(10)
} catch {
  // Not allowed here: then it competes.
}

parentPort?.postMessage(await prepare(workerData as PrepareRequest))
