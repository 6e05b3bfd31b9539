import { parentPort, workerData } from 'node:worker_threads'
import { type TakeRequest, takeFilesApart } from './take-files.ts'

/* A thread that verifies the files of a feature table and ends, so that large ones don't block the event loop. */

parentPort?.postMessage(await takeFilesApart(workerData as TakeRequest))
