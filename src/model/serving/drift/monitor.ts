import type { Distribution, DriftReference } from '../../../schemas/manifest.ts'
import type { PredictionTable } from '../../contracts/prediction.ts'
import type { EncodedRequest, Layout } from '../features/layout.ts'
import { type Bins, type Counted, createBins } from './bins.ts'

export interface Drift {
  kind: 'feature' | 'task'
  name: string
  /** Population stability index. */
  psi: number
}

/** Recent values of a field or task, beside its reference. */
export interface Observed extends Counted {
  kind: Drift['kind']
  name: string
  /** Undefined while there are too few values. */
  psi: number | undefined
  reference: Distribution
}

/** Compares live traffic with the data that the model was evaluated on. */
export interface DriftMonitor {
  /** Samples an answered request. A ranked answer holds only the best rows, so its probabilities are not sampled. */
  observe(request: EncodedRequest, table: PredictionTable): void
  /** Features and tasks with enough observations. */
  report(): Drift[]
  /** Every feature and task of the reference, fields in manifest order. */
  observed(): Observed[]
}

/** Maximum probabilities sampled per task and request, so that a large request neither costs nor counts more. */
const sampledRows = 16

export function createDriftMonitor(reference: DriftReference | undefined, layout: Layout): DriftMonitor {
  const tasks = new Map(
    Object.entries(reference?.tasks ?? {}).map(([name, distribution]) => [name, createBins(distribution)]),
  )
  const features: { name: string; sparse: boolean; column: number; bins: Bins }[] = []
  for (const { name, sparse, column } of layout.slots) {
    const distribution = referenceOf(reference?.features, name)
    if (distribution) features.push({ name, sparse, column, bins: createBins(distribution) })
  }
  let requests = 0

  return {
    observe({ rows, sparse, dense }, table) {
      if (rows === 0) return
      // One row per request, at a changing position: a request's context is a single observation.
      const row = requests++ % rows
      for (const feature of features) {
        const value = feature.sparse
          ? sparse[row * layout.sparse.length + feature.column]
          : dense[row * layout.dense.length + feature.column]
        feature.bins.add(value!)
      }
      if (table.scores !== undefined || tasks.size === 0) return
      for (const [name, probabilities] of table.tasks) {
        const bins = tasks.get(name)
        const step = Math.ceil(probabilities.length / sampledRows)
        if (bins) for (let i = 0; i < probabilities.length; i += step) bins.add(probabilities[i]!)
      }
    },
    report() {
      const drifts: Drift[] = []
      const add = (kind: Drift['kind'], name: string, psi: number | undefined) => {
        if (psi !== undefined) drifts.push({ kind, name, psi })
      }
      for (const { name, bins } of features) add('feature', name, bins.psi())
      for (const [name, bins] of tasks) add('task', name, bins.psi())
      return drifts
    },
    observed() {
      const observedOf = (kind: Drift['kind'], name: string, bins: Bins): Observed => ({
        kind,
        name,
        psi: bins.psi(),
        reference: (kind === 'feature' ? reference!.features : reference!.tasks)[name]!,
        ...bins.counted(),
      })
      return [
        ...features.map(({ name, bins }) => observedOf('feature', name, bins)),
        ...[...tasks].map(([name, bins]) => observedOf('task', name, bins)),
      ]
    },
  }
}

/** The distribution of a field, which may be called like a property of every object. */
export function referenceOf(
  references: DriftReference['features'] | undefined,
  name: string,
): Distribution | undefined {
  return references !== undefined && Object.hasOwn(references, name) ? references[name] : undefined
}
