import { join } from 'node:path'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import { type Dataset, judgingBytes, readDataset } from '../data/dataset.ts'
import type { RowEntities } from '../data/entity-tables.ts'
import type { FieldReading } from '../data/readers.ts'
import type { LoadedSpec } from '../data/source.ts'
import { readingProgress } from '../evaluate/session.ts'
import { readingsOf } from './fields.ts'
import type { TrainOptions } from './train-options.ts'

/** Bytes per row and field: 4 of the encoded form of all rows, and judging of a third of them. */
const bytesAfter = 4 + judgingBytes / 3

/** Reads the rows of a spec to train on. Rejects as `readDataset`. */
export function readRows(
  loaded: LoadedSpec,
  options: Pick<TrainOptions, 'models' | 'signal' | 'progress'>,
): Promise<Dataset> {
  const [fields, entities] = readingOptions(loaded, options)
  const onProgress = readingProgress(options.progress)
  return readDataset(loaded, fields, { signal: options.signal, bytesAfter, onProgress, entities })
}

/** How a spec's fields are read, and its entities, whose tables are beside the models. */
export function readingOptions(
  { spec: { fields, history, entities } }: LoadedSpec,
  { models }: Pick<TrainOptions, 'models'>,
): [FieldReading[], RowEntities[]] {
  const own = entities && { entities, folder: join(models, tablesFolder), of: undefined }
  return [readingsOf(fields, history), own ? [own] : []]
}
