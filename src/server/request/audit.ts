import type { FastifyRequest } from 'fastify'
import { ModelError } from '../../base/errors.ts'
import { byAdministrator } from '../../model/serving/registry/authors.ts'
import { keyOfRequest } from '../security/guarded.ts'

/** The change that an administrator asked for. */
export interface Administration {
  action: 'pin' | 'unpin' | 'load' | 'unload'
  model: string
  /** The version that is to be pinned. */
  version?: string
}

/** The id of the key that a request has, or the word for a client without a key. */
export const authorOf = (request: FastifyRequest): string => keyOfRequest(request)?.id ?? byAdministrator

/** Does what was asked for, and logs who asked and what became of it. Rejects as `work`. */
export async function audited<T>(
  request: FastifyRequest,
  { action, model, version }: Administration,
  work: (by: string) => Promise<T>,
): Promise<T> {
  const by = authorOf(request)
  const asked = { audit: action, model, ...(version !== undefined && { version }), by, ip: request.ip }
  try {
    const done = await work(by)
    request.log.info({ ...asked, outcome: 'done' }, 'administration')
    return done
  } catch (error) {
    const outcome = error instanceof ModelError ? error.code : 'INTERNAL'
    request.log.warn({ ...asked, outcome }, 'administration')
    throw error
  }
}
