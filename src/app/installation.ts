import { stat } from 'node:fs/promises'
import { fileReason } from '../base/files.ts'
import type { Log } from './load-options.ts'

/**
 * A function that says once, when it is called after that, that the installation was removed or replaced below the
 * running process. `entry`: the script that it runs.
 */
export async function watchInstallation(entry: string, log: Pick<Log, 'warn'>): Promise<() => Promise<void>> {
  const stamp = () => stat(entry).then(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`, fileReason)
  const first = await stamp()
  let said = false
  return async () => {
    if (said || (await stamp()) === first) return
    said = true
    log.warn(
      { entry },
      'the installation was removed or replaced: threads and processes that end may not start again; restart the server',
    )
  }
}
