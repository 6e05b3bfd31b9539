import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../base/errors.ts'
import { noVersion } from '../../schemas/prediction-log.ts'

/** A file of a prediction log that no more is written to. */
export interface FinishedFile {
  /** Below the folder of the log, with slashes. */
  path: string
  /** The first digits of the SHA-256 of its content, of a manifest that lies beside records. */
  digits: string | undefined
  /** Changes when its content does. */
  stamp: string
  /** ms since 1970 */
  written: number
}

/**
 * The finished files of a log: manifests, then those with records, the oldest first. Rejects where the folder can't be
 * read.
 */
export async function finishedFiles(folder: string): Promise<FinishedFile[]> {
  let entries: Dirent[]
  try {
    entries = await readdir(folder, { withFileTypes: true })
  } catch (cause) {
    throw new Error(`${folder} can't be read: ${reasonOf(cause)}`, { cause })
  }
  const files = await filesOf(folder, '', entries)
  const order = ({ path, digits }: FinishedFile) => `${digits === undefined ? 1 : 0}${path.split('/').at(-1)}`
  return files.sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

async function filesOf(folder: string, parent: string, entries: Dirent[]): Promise<FinishedFile[]> {
  const files: FinishedFile[] = []
  for (const entry of entries) {
    const { name } = entry
    // Files that other programs have not finished have such names; the other is a folder of volumes that is root's.
    const path = `${parent}${name}`
    if ((name.startsWith('.') && path !== noVersion) || name === 'lost+found') continue
    if (entry.isDirectory()) {
      const below = await readdir(join(folder, path), { withFileTypes: true }).catch(goneOr(path))
      if (below) files.push(...(await filesOf(folder, `${path}/`, below)))
      continue
    }
    const [, digits] = /^manifest-([0-9a-f]{8,64})\.json$/.exec(name) ?? []
    if (!entry.isFile() || (digits === undefined && !/\.(?:jsonl|parquet)$/.test(name))) continue
    const found = await lstat(join(folder, path)).catch(goneOr(path))
    if (found) files.push({ path, digits, stamp: stampOf(found), written: found.mtimeMs })
  }
  return files
}

export const stampOf = ({ ino, size, mtimeMs }: Stats) => `${ino} ${size} ${mtimeMs}`

/** The server removes its oldest files meanwhile. */
const goneOr = (path: string) => (cause: NodeJS.ErrnoException) => {
  if (cause.code !== 'ENOENT') throw new Error(`${path} can't be read: ${reasonOf(cause)}`, { cause })
}
