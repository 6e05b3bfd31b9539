import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const { folder, version } = findPackage(import.meta.dirname)

/** The folder of package.json, from sources and compiled files alike. */
export const projectRoot = folder

/** Folder of the training specs that come with the project. */
export const bundledSpecs = join(folder, 'src/tools/train/specs')

/** Version of multigate in package.json. */
export const multigateVersion = version

/**
 * The folder of multigate's package.json, `from` or one above, and the version in it. Throws where these files are
 * elsewhere: in the bundle of an application, or in a folder that `dist` is a link to. Models, scripts of threads and
 * the console would be missing.
 */
export function findPackage(from: string): { folder: string; version: string } {
  for (let folder = from, above = ''; folder !== above; [above, folder] = [folder, dirname(folder)]) {
    const file = join(folder, 'package.json')
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8'))
    if (name === 'multigate') return { folder, version }
    break
  }
  throw new Error(
    `multigate runs outside of its package, in ${from}: a bundler must leave the package multigate external, and dist can't be a link to another folder`,
  )
}
