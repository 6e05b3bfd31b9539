import type { ParquetData } from '../schemas/rows-spec.ts'
import type { Source } from './source.ts'

export async function openParquet(_data: ParquetData, _file: string): Promise<Source> {
  throw new Error('not yet')
}
