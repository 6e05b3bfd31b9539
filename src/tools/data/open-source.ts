import { resolve } from 'node:path'
import type { RowData } from '../../schemas/rows-spec.ts'
import { openCsv } from './csv.ts'
import { type Source, SpecError } from './source.ts'

/** The data of a file, by its path from the working directory. Throws a SpecError where it is none of `formats`. */
export function dataOf(file: string, formats: string): RowData {
  if (/\.parquet$/i.test(file)) return { parquet: [resolve(file)], missing: [''] }
  if (/\.csv(\.gz)?$/i.test(file)) return { csv: [resolve(file)], separator: ',', trim: false, missing: [''] }
  throw new SpecError(file, [{ path: '', message: `must be ${formats}` }])
}

/** Opens a spec's data. Rejects with a SpecError if its files or their headers are missing. */
export async function openSource(data: RowData, file: string): Promise<Source> {
  if ('csv' in data) return openCsv(data, file)
  if ('generator' in data) return openGenerated(data)
  if ('log' in data) {
    const { openLogRows } = await import('./log-rows.ts')
    return openLogRows(data, file, openSource)
  }
  const { openParquet } = await import('./parquet.ts')
  return openParquet(data, file)
}

async function openGenerated(data: Extract<RowData, { generator: string }>): Promise<Source> {
  if (data.generator === 'ads-funnel') return (await import('./ads-funnel.ts')).createAdsFunnel(data)
  if (data.generator === 'ads-history') return (await import('./ads-history.ts')).createAdsHistory(data)
  return (await import('./synthetic-tasks.ts')).createSyntheticTasks(data)
}
