import { parentPort, workerData } from 'node:worker_threads'
import { type ApplyTableRequest, applyTableDeltasApart } from './apply-table-deltas.ts'

/* A thread that applies deltas of a feature table and ends, so that large ones don't block the event loop. */

parentPort?.postMessage(await applyTableDeltasApart(workerData as ApplyTableRequest))
