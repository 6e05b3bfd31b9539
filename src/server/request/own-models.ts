import type { FastifyRequest } from 'fastify'
import type { Registry } from '../../model/serving/registry/registry.ts'
import type { InferStatistics } from '../../schemas/infer-model.ts'
import { type ModelView, viewFor } from '../security/areas.ts'
import { keyOfRequest } from '../security/guarded.ts'
import type { ServerContext } from './context.ts'
import type { Observations, VersionDrift, VersionKey } from './observations.ts'

/** The models that a request may learn of: those that its key opens. */
export function modelsOf(request: FastifyRequest, registry: Registry): ModelView {
  return viewFor(registry, keyOfRequest(request))
}

/** Why requests can't be sent here, of all processes of the service together; empty when they can. */
export async function unreadyReasons({ registry, drain, peers }: ServerContext): Promise<string[]> {
  const own = drain.draining ? ['shutting down'] : registry.unreadyReasons()
  return peers === undefined ? own : peers.unreadyReasons(own)
}

/** This process's counts of every version that is live. */
export function ownStatistics({ registry, metrics }: Pick<ServerContext, 'registry' | 'metrics'>): InferStatistics[] {
  return registry.live().map(({ name, version }) => metrics.statistics.of(name, version))
}

/** This process's counts of a version; undefined where it is not loaded. */
export function ownObservations(
  { registry, metrics }: Pick<ServerContext, 'registry' | 'metrics'>,
  { model: name, version }: VersionKey,
): Observations | undefined {
  const found = registry.live().find((entry) => entry.name === name && entry.version === version)
  if (found === undefined) return undefined
  const counted = found.model.observed().map(({ kind, name, total, counts }) => ({ kind, name, total, counts }))
  return { counted, unknown: metrics.unknownValues(name, version) }
}

/** The largest drift of every version, in this process. */
export function ownDrift({ registry }: Pick<ServerContext, 'registry'>): VersionDrift[] {
  return registry.live().flatMap(({ name, version, model }) => {
    const [drift] = model.drift().sort((a, b) => b.psi - a.psi)
    return drift === undefined ? [] : [{ model: name, version, drift }]
  })
}
