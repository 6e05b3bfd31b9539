import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { cacheFolder } from '../base/settings.ts'
import { descriptionFile, tablesFolder } from '../model/serving/tables/table-folder.ts'
import { type TableRules, Tables } from '../model/serving/tables/tables.ts'
import { whileSigned } from '../model/serving/version/signature.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { Log } from './load-options.ts'
import { reportTable } from './report-event.ts'

/** Why deltas are refused where versions must be signed. */
export const unsignedDeltas = 'deltas are not signed, and MULTIGATE_MODEL_KEYS asks for signatures'

/** The tables beside the models; the log says which versions are read. */
export function openTables(
  root: string,
  { MULTIGATE_CACHE }: Configuration,
  modelKeys: readonly KeyObject[],
  log: Log,
): Tables {
  const signed: TableRules = {
    verify: (table, version, read) =>
      whileSigned(root, `${tablesFolder}/${table}/${version}`, descriptionFile, modelKeys, read),
    refuseDeltas: unsignedDeltas,
  }
  const cache = cacheFolder(MULTIGATE_CACHE)
  const copies = cache && join(cache, 'tables')
  return new Tables(root, (change) => reportTable(change, log), { ...(modelKeys.length > 0 && signed), copies })
}
