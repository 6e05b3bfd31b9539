import { parentPort, workerData } from 'node:worker_threads'
import { prepare } from './prepare.ts'
import type { PrepareRequest } from './prepare-request.ts'

/* A thread that compiles one graph and ends, so that compiling does not block the event loop. */

parentPort?.postMessage(await prepare(workerData as PrepareRequest))
