import type { Manifest } from '../../schemas/manifest.ts'
import type { Bundle } from '../bundle/read.ts'
import type { PooledGraph } from '../engines/pool/contract.ts'
import { LiveVersion } from '../live/live-version.ts'
import type { CompileOutcome, LoadOptions } from './contract.ts'

/** Whether rows of a table of the version may change while it is served. */
export function hasLiveFields({ features }: Pick<Manifest, 'features'>): boolean {
  return features.some((field) => field.kind !== 'numeric' && field.live === true)
}

/** Why a version with live fields can't have its rows replaced; undefined where it can, and where it has none. */
export function liveProblem(manifest: Manifest, { plan, problem }: CompileOutcome): string | undefined {
  if (!hasLiveFields(manifest)) return undefined
  if (manifest.precision !== 'float32') return `live fields need the precision float32, not ${manifest.precision}`
  if (plan === undefined) return `live fields need a compiled graph${problem === undefined ? '' : `: ${problem}`}`
  if (plan.description.live === undefined) return plan.description.liveProblem ?? 'the graph has no live tables'
  return undefined
}

/** The deltas of a version that is loaded; undefined where it has no live fields. */
export function createLiveVersion(
  { folder, manifest }: Bundle,
  compiled: CompileOutcome,
  graph: PooledGraph,
  { clock, compiler, onDelta, refuseDeltas }: LoadOptions,
): LiveVersion | undefined {
  if (!hasLiveFields(manifest)) return undefined
  const problem = liveProblem(manifest, compiled)
  return new LiveVersion({
    folder,
    manifest,
    live: problem ?? refuseDeltas ?? compiled.plan!.description.live!,
    serve: (overlay) => graph.setOverlay!(overlay),
    clock,
    now: compiler?.now ?? Date.now,
    onEvent: onDelta,
  })
}
