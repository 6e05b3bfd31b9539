import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { reasonOf } from './errors.ts'

/** Not a pipe, which blocks, nor a device, which may never end. */
export const isOrdinary = (found: Stats) => found.isFile() || found.isDirectory()

/** Size of a file or folder. Rejects for pipes, which block, and devices, which may never end. */
export async function sizeOfOrdinary(path: string): Promise<number> {
  const found = await stat(path)
  if (!isOrdinary(found)) throw new Error('it is a pipe or a device, not a file')
  return found.size
}

/** Why a file cannot be read, without its path, which clients must not see. */
export function fileReason(cause: unknown): string {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 'it is missing'
  return reasonOf(cause).split(', ')[0]!
}

/** The same as a predicate: `is missing`, or `can't be read` and why. */
export function fileProblem(cause: unknown): string {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  return isMissing ? 'is missing' : `can't be read: ${fileReason(cause)}`
}
