import type { FastifyRequest } from 'fastify'
import type { Registry } from '../../model/registry/registry.ts'
import { keyOf } from '../security/guarded.ts'
import { type ModelView, viewFor } from '../security/model-view.ts'

/** The models that a request may learn of: those that its key opens. */
export function modelsOf(request: FastifyRequest, registry: Registry): ModelView {
  return viewFor(registry, keyOf(request))
}
