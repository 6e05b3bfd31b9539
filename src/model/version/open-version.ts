import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { compareVersions } from '../base/versions.ts'
import { manifestFile } from '../bundle/manifest.ts'
import type { Bundle } from '../bundle/read.ts'
import { findGraph } from './manifestless.ts'
import { readBundle } from './read-version.ts'

/**
 * The version that a path means: a version's folder, a model's (then its highest version), or, where `models` is given, a
 * model's name below it; undefined where it is none of these.
 */
export async function findBundle(path: string, models?: string): Promise<Bundle | undefined> {
  for (const folder of [resolve(path), ...(models === undefined ? [] : [resolve(models, path)])]) {
    if (await isVersion(folder))
      return readBundle(dirname(dirname(folder)), basename(dirname(folder)), basename(folder))
    const versions = (await readdir(folder).catch(() => [])).filter((name) => numbered.test(name))
    const [highest] = versions.sort((a, b) => compareVersions(b, a))
    if (highest !== undefined) return readBundle(dirname(folder), basename(folder), highest)
  }
  return undefined
}

const numbered = /^[1-9]\d*$/

async function isVersion(folder: string): Promise<boolean> {
  const manifest = await stat(join(folder, manifestFile)).catch(() => undefined)
  if (manifest !== undefined) return true
  return numbered.test(basename(folder)) && (await findGraph(folder, folder).catch(() => true)) !== undefined
}
