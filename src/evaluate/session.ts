import { type Dataset, type ReadOptions, readDataset } from '../data/dataset.ts'
import type { FieldReading } from '../data/readers.ts'
import type { LoadedRows } from '../data/spec.ts'
import type { Predictor } from './predictor.ts'
import type { Progress } from './progress.ts'
import { readingsOfModel, type ScoredPart, scoreRows } from './score-rows.ts'

/** Rows for one or several versions, each with its own fields. */
export interface SharedRows {
  /** The data set as a version needs it: `cells` are those of its fields. */
  datasetOf(predictor: Pick<Predictor, 'fields'>): Dataset
  dataset: Dataset
}

/** Reads the rows once, with the fields of all versions. Rejects like `readDataset`. */
export async function readRowsFor(
  loaded: LoadedRows,
  predictors: readonly Pick<Predictor, 'fields'>[],
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<SharedRows> {
  const keyOf = ({ name, kind }: FieldReading) => `${kind} ${name}`
  const readings = new Map<string, FieldReading>()
  for (const { fields } of predictors)
    for (const reading of readingsOfModel(fields, loaded.spec)) readings.set(keyOf(reading), reading)
  const all = [...readings.values()]
  const dataset = await readDataset(loaded, all, {
    signal,
    onProgress: readingProgress(progress),
  })
  const places = new Map(all.map((reading, index) => [keyOf(reading), index]))
  return {
    dataset,
    datasetOf: ({ fields }) => ({
      ...dataset,
      cells: readingsOfModel(fields, loaded.spec).map((reading) => dataset.cells[places.get(keyOf(reading))!]!),
    }),
  }
}

/** Shows how far the reading of rows is. */
export function readingProgress(progress: Progress | undefined): ReadOptions['onProgress'] {
  return (rows, share) => progress?.rows('reading', rows, share ? Math.round(rows / share) : undefined)
}

/** Asks a version for rows, with progress. Rejects like `scoreRows`. */
export function scoreWithProgress(
  predictor: Predictor,
  dataset: Dataset,
  rows: Int32Array,
  { file, signal, progress }: { file: string; signal: AbortSignal; progress: Progress | undefined },
): Promise<ScoredPart> {
  const { name, version } = predictor.model
  const onProgress = (done: number) => progress?.rows(`predicting by ${name}/${version}`, done, rows.length)
  return scoreRows(predictor, dataset, rows, { file, signal, onProgress })
}
