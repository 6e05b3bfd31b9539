import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Removes what a build left in `folder`, but for `written`, the files of this build, and those of the last other one: a
 * server of that build, which may still run, loads some of its chunks when it first needs them.
 */
export function removeOldChunks(folder, written) {
  const list = join(folder, '.chunks')
  const last = existsSync(list) ? readFileSync(list, 'utf8').split('\n') : []
  const kept = new Set([...written, ...last])
  // A repeated build has the same files: those of the one before it stay.
  if (kept.size === last.length && written.length === last.length) return
  for (const name of readdirSync(folder))
    if (/\.js(?:\.map)?$/.test(name) && !kept.has(name)) rmSync(join(folder, name))
  writeFileSync(list, written.join('\n'))
}
