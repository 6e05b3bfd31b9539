import { access, constants, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * The folder itself, or the nearest above it that exists: where it would be created. Rejects with an Error that says why nothing
 * can be written there.
 */
export async function existingFolder(path: string): Promise<string> {
  let at = resolve(path)
  let found = await stat(at).catch(() => undefined)
  while (found === undefined && at !== dirname(at)) {
    at = dirname(at)
    found = await stat(at).catch(() => undefined)
  }
  if (!found?.isDirectory()) throw new Error(`${at} is not a folder`)
  await access(at, constants.W_OK | constants.X_OK)
  return at
}
