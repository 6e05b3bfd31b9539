import type { ServerContext } from './context.ts'
import type { Observations, VersionDrift, VersionKey } from './observations.ts'

/** What this process has counted of a version; undefined where it is not loaded. */
export async function ownObservations(
  { registry, metrics }: Pick<ServerContext, 'registry' | 'metrics'>,
  { model: name, version }: VersionKey,
): Promise<Observations | undefined> {
  const found = registry.live().find((entry) => entry.name === name && entry.version === version)
  if (found === undefined) return undefined
  const counted = found.model.observed().map(({ kind, name, total, counts }) => ({ kind, name, total, counts }))
  return { counted, unknown: await metrics.unknownValues(name, version) }
}

/** The largest drift of every version, in this process. */
export function ownDrift({ registry }: Pick<ServerContext, 'registry'>): VersionDrift[] {
  return registry.live().flatMap(({ name, version, model }) => {
    const [drift] = model.drift().sort((a, b) => b.psi - a.psi)
    return drift === undefined ? [] : [{ model: name, version, drift }]
  })
}
