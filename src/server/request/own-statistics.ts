import type { InferStatistics } from '../../schemas/infer-model.ts'
import type { ServerContext } from './context.ts'

/** What this process has counted of every version that is live. */
export function ownStatistics({ registry, metrics }: Pick<ServerContext, 'registry' | 'metrics'>): InferStatistics[] {
  return registry.live().map(({ name, version }) => metrics.statistics.of(name, version))
}
