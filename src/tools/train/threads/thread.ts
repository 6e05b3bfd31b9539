import { parentPort, workerData } from 'node:worker_threads'
import { reasonOf } from '../../../base/errors.ts'
import type { ThreadAnswer, ThreadRequest, ThreadSetup } from './protocol.ts'
import { Stopped } from './shared.ts'
import { Stepper } from './stepper.ts'

/* A thread of training: answers each request of trainer.ts in order. */

const port = parentPort!
const answer = (message: ThreadAnswer) => port.postMessage(message)

const fail = (error: unknown) => {
  // Nobody waits for a thread that was asked to stop.
  if (error instanceof Stopped) return
  answer({ kind: 'error', message: reasonOf(error), code: (error as { code?: string }).code })
}

try {
  const stepper = await Stepper.create(workerData as ThreadSetup)
  port.on('message', async (request: ThreadRequest) => {
    try {
      switch (request.kind) {
        case 'epoch': {
          const failed = await stepper.epoch(request.bounds, request.epoch, request.stepsBefore)
          return answer({ kind: 'epoch', failed })
        }
        case 'logits':
          await stepper.logits(request.rows, request.start, request.end, request.logits)
          return answer({ kind: 'done' })
        case 'read': {
          const copy = (values: Float32Array) => Float32Array.from(values)
          const { weights, first, second } = stepper.memory
          return answer({ kind: 'weights', weights: copy(weights), first: copy(first), second: copy(second) })
        }
        case 'write':
          stepper.memory.weights.set(request.weights)
          stepper.memory.first.set(request.first)
          stepper.memory.second.set(request.second)
          return answer({ kind: 'done' })
      }
    } catch (error) {
      return fail(error)
    }
  })
  answer({ kind: 'ready' })
} catch (error) {
  fail(error)
}
