import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { compareVersions } from '../model/base/versions.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { readBundle } from '../model/version/read-version.ts'

/** The versions of a model on disk, highest first; none if there is no such folder. */
export async function versionsOnDisk(models: string, name: string): Promise<string[]> {
  const folders = await readdir(join(models, name)).catch(() => [])
  return folders.filter((folder) => /^[1-9]\d*$/.test(folder)).sort((a, b) => compareVersions(b, a))
}

/** The highest version on disk below `version`; the highest of all without one. Undefined if there is none. */
export async function previousVersion(models: string, name: string, version?: string): Promise<Bundle | undefined> {
  const below = (await versionsOnDisk(models, name)).filter(
    (folder) => version === undefined || compareVersions(folder, version) < 0,
  )
  return below[0] === undefined ? undefined : readBundle(models, name, below[0])
}
