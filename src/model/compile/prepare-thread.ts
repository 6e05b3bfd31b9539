import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { prepare } from './prepare.ts'
import type { PrepareRequest } from './prepare-request.ts'

/*
 * A thread that compiles one graph and ends, so that compiling does not block the event loop. On Linux, where threads have
 * priorities, it runs at the lowest: requests are computed first.
 */

try {
  if (process.platform === 'linux') setPriority(19)
} catch {
  // Not permitted: it runs at normal priority.
}

parentPort?.postMessage(await prepare(workerData as PrepareRequest))
