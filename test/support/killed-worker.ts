import { parentPort, workerData } from 'node:worker_threads'
import type { WorkerRequest } from '../../src/model/engines/pool/protocol.ts'
import '../../src/model/engines/pool/worker.ts'

// A worker thread that ends in the middle of a call, as one that is killed, once the flag is set; it takes the flag
// down.
const { flag } = workerData as { flag: Int32Array }
parentPort?.on('message', ({ type }: WorkerRequest) => {
  if (type.startsWith('run') && Atomics.compareExchange(flag, 0, 1, 0) === 1) process.exit(9)
})
