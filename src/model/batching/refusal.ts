import { ModelError, reasonOf } from '../base/errors.ts'
import type { Submission } from './contract.ts'

export function refused(error: ModelError): Submission {
  return { outputs: Promise.reject(error), cancel: () => undefined }
}

export function expired(stage: 'queue' | 'compute'): ModelError {
  const where = stage === 'queue' ? 'in the queue' : 'while it was computed'
  return new ModelError('DEADLINE_EXCEEDED', `The request's deadline passed ${where}`, { stage })
}

export function modelFailed(error: unknown): ModelError {
  if (error instanceof ModelError) return error
  return new ModelError('MODEL_FAILED', `The model failed: ${reasonOf(error)}`, { cause: error })
}

export function queueFull(
  reason: 'queue_full' | 'predicted_wait',
  rows: number,
  retryAfterSeconds: number,
): ModelError {
  const message =
    reason === 'queue_full'
      ? `The queue is full: ${rows} rows are waiting`
      : `The request cannot meet its deadline: ${rows} rows are ahead of it, about ${Math.round(retryAfterSeconds * 1000)} ms`
  return new ModelError('QUEUE_FULL', message, { retryAfterSeconds })
}
