import { access, constants, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ModelError, reasonOf } from './errors.ts'

/**
 * Expects that a folder can be written to, or created; creates nothing. `option`: what names it, such as `--models`. Rejects with
 * INVALID_REQUEST.
 */
export async function expectFolder(option: string, path: string): Promise<void> {
  let at = resolve(path)
  let found = await stat(at).catch(() => undefined)
  while (found === undefined && at !== dirname(at)) {
    at = dirname(at)
    found = await stat(at).catch(() => undefined)
  }
  if (!found?.isDirectory()) throw new ModelError('INVALID_REQUEST', `${option} ${path}: ${at} is not a folder`)
  await access(at, constants.W_OK | constants.X_OK).catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${option} ${path}: ${at} can't be written to: ${reasonOf(cause)}`, {
      cause,
    })
  })
}
