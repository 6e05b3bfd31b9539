import { homedir } from 'node:os'
import { join } from 'node:path'

/** The user's home folder; undefined where HOME is not set and the system does not know the user. */
export function homeFolder(ask = homedir): string | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

/** The folder of the user's caches; undefined where there is none. */
export function userCache({ XDG_CACHE_HOME } = process.env, ask = homedir): string | undefined {
  const home = homeFolder(ask)
  return XDG_CACHE_HOME || (home && join(home, '.cache'))
}
