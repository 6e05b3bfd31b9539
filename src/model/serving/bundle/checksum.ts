import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileReason } from '../../../base/files.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import { isOfDeltas } from '../delta-files/delta-folder.ts'

/** SHA-256 of a file, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** SHA-256 of every file below a version's folder but its deltas, by its path there. */
export async function checksums(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files: Record<string, string> = {}
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(folder, path).split(sep).join('/')
    if (isOfDeltas(name)) continue
    try {
      // A link may lead to a folder; a pipe would block.
      if ((await stat(path)).isFile()) files[name] = await sha256(path)
    } catch (cause) {
      throw new ModelError('INVALID_BUNDLE', `${name} can't be read: ${fileReason(cause)}`, { cause })
    }
  }
  return files
}

/** Files up to this size, all together, are hashed in this thread, bytes: that takes less than to start another one. */
const hashedHere = 2 ** 20

/**
 * The SHA-256 of files of `bytes` bytes, in hexadecimal, computed in a thread of their own, by path. Those are left out
 * that can't be read there, and all if they are small.
 */
export async function hashInThread(paths: readonly string[], bytes: number): Promise<Map<string, string>> {
  if (bytes <= hashedHere) return new Map()
  return runThread<Map<string, string>>(new URL('./hash-thread.js', import.meta.url), paths).catch(() => new Map())
}
