import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hideCredentials } from '../../base/address-credentials.ts'
import { fileProblem, isOrdinary } from '../../base/files.ts'
import { AbsentObject, type ObjectStore } from './object-store.ts'

/** A folder, such as a network volume. */
export function openFolder(folder: string): ObjectStore {
  const name = hideCredentials(folder)
  return {
    name,
    async get(path, tag, signal) {
      const file = join(folder, path)
      try {
        const found = await stat(file)
        if (!isOrdinary(found)) throw new Error('it is a pipe or a device, not a file')
        const current = `${found.mtimeMs} ${found.size} ${found.ino}`
        if (current === tag) return undefined
        return { body: createReadStream(file, { highWaterMark: 1 << 20, signal }), tag: current }
      } catch (cause) {
        const Fault = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? AbsentObject : Error
        throw new Fault(`${join(name, path)} ${fileProblem(cause)}`, { cause })
      }
    },
  }
}
