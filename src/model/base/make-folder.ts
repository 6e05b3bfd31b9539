import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Creates a folder and those above it. Unlike `mkdir(…, { recursive: true })` it ends in file systems that refuse new folders with
 * ENOENT, as /proc does. Rejects with the system's error.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await make(path)
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    if (!exists || !(await stat(path)).isDirectory()) throw error
  }
}
