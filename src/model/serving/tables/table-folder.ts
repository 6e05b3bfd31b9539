import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/*
 * Feature tables are in a folder beside the models, `.tables/<table>/<version>/`: no model's name begins with a dot.
 */

/** The folder of the tables in a models folder. */
export const tablesFolder = '.tables'
/** The file that describes a version of a table. */
export const descriptionFile = 'table.json'

/** Its files, in their order in `TableFiles`. */
export const fileNames = ['rows.bin', 'index.bin', 'strings.bin', 'lists.bin'] as const

/** The names of folders in which versions of a table are made, beside those that are complete, begin so. */
export const unfinishedPrefix = '.building-'

/** Beside the folder of a table: the highest number that it has had, which it does not get again. */
export const highestFile = (table: string): string => `.highest-${table}`

/** Versions of a table, ascending: numbers, whose folders are complete. Rejects with the system's error. */
export async function versionsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder)
  const versions = names.filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).map(Number)
  return versions.sort((a, b) => a - b)
}

/** The folder of a table's highest version; undefined where it has none. Rejects with the system's error. */
export async function highestIn(folder: string): Promise<string | undefined> {
  const version = (await versionsIn(folder)).at(-1)
  return version === undefined ? undefined : join(folder, String(version))
}

/** Names of the tables beside models; none where there is no folder of tables. */
export function tablesIn(models: string): Promise<string[]> {
  return namesIn(join(models, tablesFolder))
}

/** Names of the tables in a folder of tables; none where there is none. */
export async function namesIn(tables: string): Promise<string[]> {
  const found = await readdir(tables, { withFileTypes: true }).catch(() => [])
  return found.flatMap((entry) => (entry.isDirectory() && !entry.name.startsWith('.') ? [entry.name] : [])).sort()
}

/**
 * Changes when a file of a version does, without its deltas; `names`: the files that count. Rejects with the system's
 * error.
 */
export async function stampOf(folder: string, names?: readonly string[]): Promise<string> {
  const files =
    names ??
    (await readdir(folder, { withFileTypes: true })).flatMap((entry) => (entry.isDirectory() ? [] : entry.name))
  const stamps = files.map(async (name) => {
    const { ino, mtimeNs, size } = await stat(join(folder, name), { bigint: true })
    return `${name} ${ino} ${mtimeNs} ${size}`
  })
  return (await Promise.all(stamps)).sort().join('\n')
}
