import { createBinOf, populationStability } from '../../model/serving/drift/bins.ts'
import { referenceOf } from '../../model/serving/drift/monitor.ts'
import { nameOfId, unscale } from '../../model/serving/features/field.ts'
import { createLayout, layoutOptions } from '../../model/serving/features/layout.ts'
import { type InputField, tableOf } from '../../model/serving/features/table.ts'
import type { DriftRow } from '../../schemas/evaluation.ts'
import type { Distribution, Manifest } from '../../schemas/manifest.ts'
import type { Dataset } from '../data/dataset.ts'
import { encodeRows } from '../data/encode-rows.ts'
import type { ScoredPart } from './score-rows.ts'

/** Compares the rows with the distributions that a version was made with, fields by encoded values. */
export function compareDistributions(manifest: Manifest, dataset: Dataset, scored: ScoredPart): DriftRow[] {
  const { drift, features } = manifest
  if (drift === undefined) return []
  const options = layoutOptions(manifest)
  const { encoded } = encodeRows(features, dataset.cells, scored.rows, dataset.place, options)
  const rows: DriftRow[] = []
  const layout = createLayout(features, options)
  for (const { name, sparse, column, encoder } of layout.slots) {
    const [data, width] = sparse ? [encoded.sparse, encoded.sparseFields] : [encoded.dense, encoded.denseFields]
    const distribution = referenceOf(drift.features, name)
    if (distribution) {
      const counts = countBins(distribution, encoded.rows, (row) => data[row * width + column]!)
      const offset = sparse ? layout.sparse[column]!.offset : 0
      rows.push(driftRow('feature', name, distribution, counts, namesOf(distribution, encoder.field, offset)))
    }
  }
  for (const [task, distribution] of Object.entries(drift.tasks)) {
    const predictions = scored.predictions[task]
    if (predictions === undefined) continue
    const counts = countBins(distribution, predictions.length, (row) => predictions[row]!)
    rows.push(driftRow('task', task, distribution, counts, namesOf(distribution, undefined, 0)))
  }
  return rows.sort((a, b) => b.psi - a.psi)
}

function countBins(distribution: Distribution, rows: number, value: (row: number) => number): Float64Array {
  const binOf = createBinOf(distribution)
  const counts = new Float64Array(distribution.shares.length)
  for (let row = 0; row < rows; row++) counts[binOf(value(row))]!++
  return counts
}

function driftRow(
  kind: DriftRow['kind'],
  name: string,
  { shares }: Distribution,
  counts: Float64Array,
  bins: string[],
): DriftRow {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const rows = Array.from(counts, (count) => Number((count / Math.max(1, total)).toFixed(6)))
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
