import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileProblem } from '../../model/base/regular-file.ts'
import { createIndexedSource, type SyncSource } from '../source.ts'

/** A folder, such as a network volume. */
export function openFolder(folder: string): SyncSource {
  return createIndexedSource(folder, async (path, tag, signal) => {
    const file = join(folder, path)
    try {
      const { mtimeMs, size, ino } = await stat(file)
      const current = `${mtimeMs} ${size} ${ino}`
      if (current === tag) return undefined
      return { body: createReadStream(file, { highWaterMark: 1 << 20, signal }), tag: current }
    } catch (cause) {
      throw new Error(`${file} ${fileProblem(cause)}`, { cause })
    }
  })
}
