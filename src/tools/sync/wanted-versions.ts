import { readFile } from 'node:fs/promises'
import { compareVersions } from '../../base/names.ts'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { IndexedFiles } from '../../schemas/models-folder.ts'
import { type Listing, tableOf } from './index-file.ts'
import type { VersionId } from './records.ts'

/** Tables before models, which need them, and the newest of every one first, whose `age` is 0. */
export function versionsOf({ models }: Listing): { id: VersionId; age: number; files: IndexedFiles }[] {
  const isModel = ({ id }: { id: VersionId }) => Number(tableOf(id.model) === undefined)
  return Object.entries(models)
    .flatMap(([model, { versions }]) =>
      Object.keys(versions)
        .sort((a, b) => compareVersions(b, a))
        .map((version, age) => ({ id: { model, version }, age, files: versions[version]! })),
    )
    .sort((a, b) => isModel(a) - isModel(b) || a.age - b.age)
}

/** The folders of the tables that a manifest names; none where it can't be read: servers say why. */
export async function tablesOf(manifest: string): Promise<string[]> {
  try {
    const { entities = {} } = JSON.parse(await readFile(manifest, 'utf8')) as Partial<Manifest>
    return Object.values(entities).map(({ table }) => `${tablesFolder}/${table}`)
  } catch {
    return []
  }
}
