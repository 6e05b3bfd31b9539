import type { Bundle } from '../../model/serving/bundle/read.ts'
import type { ChangedTable } from '../../model/serving/tables/open-changed.ts'
import { joinEntities, type OpenRows, openHighest } from '../data/entity-tables.ts'
import { dataOf, openSource } from '../data/open-source.ts'
import { type Source, SpecError } from '../data/source.ts'
import { tablesOf } from '../evaluate/local-predictor.ts'
import { predictorFields, readingsOfModel } from '../evaluate/model-fields.ts'

/**
 * Opens the candidates of a file, with what the table of the model's candidates has for a column of keys; without a
 * file, all rows of that table, with its deltas. Rejects with a SpecError where either can't be read.
 */
export async function openCandidateSource(file: string | undefined, bundle: Bundle): Promise<OpenRows> {
  const { manifest } = bundle
  const [named] = Object.entries(manifest.entities ?? {}).filter(([, { side }]) => side === 'candidate')
  if (file === undefined && named === undefined) {
    const message = `${manifest.name}/${manifest.version} has no table of candidates: name a file of them`
    throw new SpecError('--catalogue', [{ path: '', message }])
  }
  const { folder, of } = tablesOf(bundle) ?? { folder: '', of: undefined }
  const table = file === undefined ? await openHighest(folder, named![1].table) : undefined
  const title = file ?? titleOf(table!)
  try {
    const source =
      file === undefined
        ? keysOf(table!, named![1].key)
        : await openSource(dataOf(file, 'a .csv, .csv.gz or .parquet file'), file)
    const isKeyed = named !== undefined && source.columns.some(({ name }) => name === named[1].key)
    if (!isKeyed) return { source, joined: undefined, close: () => undefined }
    const fields = predictorFields(manifest.features.filter(({ side }) => side === 'candidate'))
    const entities = [{ entities: { [named[0]]: named[1] }, folder, of }]
    const about = { file: title, open: table }
    const open = await joinEntities(source, about, readingsOfModel(fields, { fields: [] }), entities)
    return {
      ...open,
      close() {
        open.close()
        table?.close()
      },
    }
  } catch (error) {
    table?.close()
    throw error
  }
}

const titleOf = ({ description: { name, version } }: ChangedTable) => `the table ${name}/${version}`

/** The keys of a table, as a column. */
function keysOf(changed: ChangedTable, key: string): Source {
  const { table, description, deltas } = changed
  let read = 0
  return {
    columns: [{ name: key, type: 'string' }],
    place: (index) => `row ${index + 1} of ${titleOf(changed)}`,
    *rows() {
      read = 0
      for (const one of table.keys()) {
        read++
        yield [one]
      }
    },
    progress: () => Math.min(1, read / Math.max(1, description.rows + deltas.rows)),
  }
}
