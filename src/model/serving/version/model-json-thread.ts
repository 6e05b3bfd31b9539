import { parentPort, workerData } from 'node:worker_threads'
import { readModelJson } from './model-json.ts'

/* A thread that reads one large model.json and ends, so that parsing it does not hold up the main thread. */

parentPort?.postMessage(await readModelJson(workerData as string))
