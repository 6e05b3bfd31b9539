import { parentPort } from 'node:worker_threads'
import type { WorkerRequest } from '../../src/model/engines/pool/protocol.ts'
import '../../src/model/engines/pool/worker.ts'

// A worker thread of an engine pool that dies, as of a bug or of too little memory, when it is asked for `die`.
parentPort?.on('message', (request: WorkerRequest) => {
  if ((request.type === 'run' || request.type === 'run-shared') && request.wanted.includes('die'))
    throw new Error('told to die')
})
