import { ModelError, reasonOf } from '../errors.ts'
import type { Submission } from './contract.ts'

export function refused(error: ModelError): Submission {
  return { outputs: Promise.reject(error), cancel: () => undefined }
}

export function expired(stage: 'queue' | 'compute'): ModelError {
  const where = stage === 'queue' ? 'while it waited' : 'while it was computed'
  return new ModelError('DEADLINE_EXCEEDED', `The request's deadline passed ${where}`, { stage })
}

export function modelFailed(error: unknown): ModelError {
  if (error instanceof ModelError) return error
  return new ModelError('MODEL_FAILED', `The model failed: ${reasonOf(error)}`, { cause: error })
}
