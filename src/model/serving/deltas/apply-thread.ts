import { parentPort, workerData } from 'node:worker_threads'
import { type ApplyRequest, applyDeltas } from './apply-deltas.ts'

/* A thread that applies deltas and ends, so that large ones don't block the event loop. */

parentPort?.postMessage(await applyDeltas(workerData as ApplyRequest))
