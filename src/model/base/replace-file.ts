import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Writes a file in one step, so that no reader sees half of it; `mode`: its permissions. Rejects with the system's error, and
 * leaves what was there.
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode?: number): Promise<void> {
  const written = join(dirname(path), `.${basename(path)}.${process.pid}.${randomUUID().slice(0, 8)}`)
  try {
    await writeFile(written, content, { flag: 'wx', ...(mode && { mode }) })
    await rename(written, path)
  } catch (error) {
    await rm(written, { force: true })
    throw error
  }
}

/** Whether `name` is what is left of writing `file` where the process was killed meanwhile. */
export function isLeftOf(file: string, name: string): boolean {
  return name.startsWith(`.${file}.`) && /^\d+\.[0-9a-f]{8}$/.test(name.slice(file.length + 2))
}
