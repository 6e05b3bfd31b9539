import { type FileHandle, open } from 'node:fs/promises'
import { ModelError } from '../base/errors.ts'

/** How the name of a copy ends while a file is changed: one process at a time writes it. */
export const keptEnd = '.kept'

const copyName = /^\d{8}T\d{9}Z-.+\.(?:jsonl|parquet)\.kept$/

/** Whether a file is a copy that a process writes, or has left behind when it was killed. */
export const isCopy = (name: string): boolean => copyName.test(name)

/** Begins a copy. Rejects with INVALID_REQUEST where another process has: each would put back records of the other. */
export async function openCopy(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o640)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new ModelError('INVALID_REQUEST', `${path} is there: another process changes it; try again in a minute`)
  }
}
