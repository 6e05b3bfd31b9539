import type { Distribution, DriftReference } from '../../../schemas/manifest.ts'
import type { PredictionTable } from '../../contracts/prediction.ts'
import type { EncodedRequest, Layout } from '../features/layout.ts'
import { type Bins, type Counted, createBins } from './bins.ts'
import { type FieldValues, fieldValuesOf } from './field-values.ts'

export interface Drift {
  /** `length`: how many values a list has. */
  kind: 'feature' | 'length' | 'task'
  name: string
  /** Population stability index. */
  psi: number
}

/** Recent values of a field or task, or lengths of a list, beside the reference. */
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

/** A list, with the bins of its values and of how many it has. */
interface WatchedList {
  field: FieldValues
  values: Bins | undefined
  lengths: Bins | undefined
}

/** Maximum probabilities sampled per task and request, so that a large request neither costs nor counts more. */
const sampledRows = 16

export function createDriftMonitor(reference: DriftReference | undefined, layout: Layout): DriftMonitor {
  const tasks = new Map(
    Object.entries(reference?.tasks ?? {}).map(([name, distribution]) => [name, createBins(distribution)]),
  )
  const features: { name: string; sparse: boolean; column: number; bins: Bins }[] = []
  const lists: WatchedList[] = []
  const binsOf = (distribution: Distribution | undefined) => distribution && createBins(distribution)
  for (const field of fieldValuesOf(layout)) {
    const { name, isList, slot } = field
    const values = binsOf(referenceOf(reference?.features, name))
    const lengths = isList ? binsOf(referenceOf(reference?.lengths, name)) : undefined
    if (isList && (values ?? lengths)) lists.push({ field, values, lengths })
    else if (values) features.push({ name, sparse: slot.sparse, column: slot.column, bins: values })
  }
  let requests = 0
  const order = new Map(layout.slots.map(({ name }, index) => [name, index]))
  const watchedFields = (): { name: string; bins: Bins }[] =>
    lists.length === 0
      ? features
      : [
          ...features,
          ...lists.flatMap(({ field, values }) => (values ? [{ name: field.name, bins: values }] : [])),
        ].sort((a, b) => order.get(a.name)! - order.get(b.name)!)
  const watchedLengths = () =>
    lists.flatMap(({ field, lengths }) => (lengths ? [{ name: field.name, bins: lengths }] : []))

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
      for (const { field, values, lengths } of lists) {
        const length = field.each({ sparse, dense }, row, (code) => values?.add(code))
        lengths?.add(length)
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
      for (const { name, bins } of watchedFields()) add('feature', name, bins.psi())
      for (const { name, bins } of watchedLengths()) add('length', name, bins.psi())
      for (const [name, bins] of tasks) add('task', name, bins.psi())
      return drifts
    },
    observed() {
      const observedOf = (kind: Drift['kind'], name: string, bins: Bins): Observed => ({
        kind,
        name,
        psi: bins.psi(),
        reference: reference![references[kind]]![name]!,
        ...bins.counted(),
      })
      return [
        ...watchedFields().map(({ name, bins }) => observedOf('feature', name, bins)),
        ...watchedLengths().map(({ name, bins }) => observedOf('length', name, bins)),
        ...[...tasks].map(([name, bins]) => observedOf('task', name, bins)),
      ]
    },
  }
}

/** Where the manifest has the distributions of each kind. */
const references = { feature: 'features', length: 'lengths', task: 'tasks' } as const

/** The distribution of a field, which may be called like a property of every object. */
export function referenceOf(
  references: DriftReference['features'] | undefined,
  name: string,
): Distribution | undefined {
  return references !== undefined && Object.hasOwn(references, name) ? references[name] : undefined
}
