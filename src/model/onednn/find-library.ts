import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Environment variable: the path of oneDNN's shared library, or `off`. */
export const libraryVariable = 'MULTIGATE_ONEDNN'

/** SHA-256 of the library that `npm run setup:onednn` installs. */
export const libraryDigest = 'e6376208cf6bacb041c346b504207e3aa1189a13f941c92a4383a55ac27058ae'

/** Where `npm run setup:onednn` puts the library. */
export function defaultLibrary(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate/onednn-3.2/libdnnl.so.3')
}

/** The path of oneDNN's shared library on this machine, or why there is none to load. */
export function findLibrary(): { path: string } | { reason: string } {
  const named = process.env[libraryVariable]
  if (named === 'off') return { reason: `${libraryVariable} is off` }
  if (named)
    return statSync(named, { throwIfNoEntry: false })?.isFile()
      ? { path: named }
      : { reason: `${libraryVariable}: there is no file ${named}` }
  const path = defaultLibrary()
  return existsSync(path) ? { path } : { reason: 'oneDNN is not installed: run `npm run setup:onednn`' }
}
