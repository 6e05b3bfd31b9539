import { createBinOf, populationStability } from '../../model/serving/drift/bins.ts'
import { fieldValuesOf } from '../../model/serving/drift/field-values.ts'
import { referenceOf } from '../../model/serving/drift/monitor.ts'
import { nameOfId, unscale } from '../../model/serving/features/decode.ts'
import { layoutOf } from '../../model/serving/features/layout.ts'
import { type InputField, tableOf } from '../../model/serving/features/table.ts'
import type { DriftRow } from '../../schemas/evaluation.ts'
import type { Distribution, Manifest } from '../../schemas/manifest.ts'
import type { Dataset } from '../data/dataset.ts'
import { encodeStrips } from '../data/encode-rows.ts'
import type { ScoredPart } from './score-rows.ts'

/** Compares the rows with the distributions that a version was made with, fields by encoded values. */
export function compareDistributions(manifest: Manifest, dataset: Dataset, scored: ScoredPart): DriftRow[] {
  const { drift } = manifest
  if (drift === undefined) return []
  const layout = layoutOf(manifest)
  const fields = fieldValuesOf(layout).map((field) => ({
    field,
    values: countsOf(referenceOf(drift.features, field.name)),
    lengths: field.isList ? countsOf(referenceOf(drift.lengths, field.name)) : undefined,
  }))
  for (const strip of encodeStrips(layout, dataset.cells, scored.rows, dataset.place))
    for (const { field, values, lengths } of fields) {
      const take = (code: number) => values?.add(code)
      for (let row = 0; row < strip.rows; row++) {
        const length = field.each(strip, row, take)
        lengths?.add(length)
      }
    }
  const rows: DriftRow[] = []
  for (const { field, values, lengths } of fields) {
    const { name, slot } = field
    const offset = slot.sparse ? layout.sparse[slot.column]!.offset : 0
    if (values && values.total() > 0) rows.push(driftRow('feature', name, values, slot.encoder.field, offset))
    if (lengths) rows.push(driftRow('length', name, lengths, undefined, 0))
  }
  for (const [task, distribution] of Object.entries(drift.tasks)) {
    const predictions = scored.predictions[task]
    if (predictions === undefined) continue
    const counts = countsOf(distribution)!
    for (let row = 0; row < predictions.length; row++) counts.add(predictions[row]!)
    rows.push(driftRow('task', task, counts, undefined, 0))
  }
  return rows.sort((a, b) => b.psi - a.psi)
}

/** Counts over the bins of a distribution. */
interface Counts {
  distribution: Distribution
  counts: Float64Array
  add(value: number): void
  total(): number
}

function countsOf(distribution: Distribution | undefined): Counts | undefined {
  if (distribution === undefined) return undefined
  const binOf = createBinOf(distribution)
  const counts = new Float64Array(distribution.shares.length)
  return {
    distribution,
    counts,
    add(value) {
      counts[binOf(value)]!++
    },
    total: () => counts.reduce((sum, count) => sum + count, 0),
  }
}

function driftRow(
  kind: DriftRow['kind'],
  name: string,
  { distribution, counts, total }: Counts,
  field: InputField | undefined,
  offset: number,
): DriftRow {
  const { shares } = distribution
  const all = Math.max(1, total())
  const rows = Array.from(counts, (count) => Number((count / all).toFixed(6)))
  const bins = namesOf(distribution, field, offset)
  return { kind, name, psi: populationStability(shares, counts), bins, reference: shares, rows }
}

/** Names of bins, for people: values where the field has names for them, numbers as requests give them. */
function namesOf(distribution: Distribution, field: InputField | undefined, offset: number): string[] {
  if ('ids' in distribution) {
    const nameOf = (id: number) => {
      if (field === undefined || field.kind === 'numeric' || field.kind === 'vector' || field.kind === 'hash')
        return `id ${id}`
      return id - offset === tableOf(field).bucket ? '(unknown)' : String(nameOfId(field, id - offset))
    }
    return [...distribution.ids.map(nameOf), '(others)']
  }
  const { edges } = distribution
  const text = (edge: number) =>
    String(Number((field?.kind === 'numeric' ? unscale(field, edge) : edge).toPrecision(4)))
  return [`≤ ${text(edges[0]!)}`, ...edges.slice(1).map((edge) => `≤ ${text(edge)}`), `> ${text(edges.at(-1)!)}`]
}
