import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type ApplyRequest, applyDeltas } from './apply-deltas.ts'

/* A thread that applies deltas and ends, so that large ones don't block the event loop. On Linux it runs at a lower priority. */

try {
  if (process.platform === 'linux') setPriority(10)
} catch {
  // Not permitted: it runs at normal priority.
}

parentPort?.postMessage(await applyDeltas(workerData as ApplyRequest))
