import type { Dataset } from '../data/dataset.ts'
import { encodeRows } from '../data/encode-rows.ts'
import type { LabelledRows } from '../data/quantization-rows.ts'
import { RowProblems } from '../data/row-problems.ts'
import { type LoadedRows, SpecError } from '../data/spec.ts'
import { hasOwnIds } from '../model/features/layout.ts'
import type { Manifest } from '../schemas/manifest.ts'

/**
 * Encodes rows of a data set, whose cells are those of the version's fields. Throws a SpecError that lists cells that a request could
 * not contain either.
 */
export function encodePart(
  manifest: Manifest,
  { file, spec }: Pick<LoadedRows, 'file'> & { spec: Pick<LoadedRows['spec'], 'tasks'> },
  dataset: Pick<Dataset, 'cells' | 'labels' | 'place'>,
  rows: Int32Array,
): LabelledRows {
  const problems = new RowProblems()
  const { encoded } = encodeRows(manifest.features, dataset.cells, rows, dataset.place, {
    problems,
    ownIds: hasOwnIds(manifest),
  })
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  const labels = manifest.tasks.map(({ name }) => {
    const known = dataset.labels[spec.tasks.findIndex((task) => task.name === name)]
    return Int8Array.from(rows, (row) => known?.[row] ?? -1)
  })
  return { encoded, labels }
}
