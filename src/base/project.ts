import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of package.json, from sources and compiled files alike. */
export const projectRoot = folderOfPackage(import.meta.dirname)

/** Version of multigate in package.json. */
export const multigateVersion: string = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')).version

function folderOfPackage(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : folderOfPackage(dirname(from))
}
