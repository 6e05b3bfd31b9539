import { stat } from 'node:fs/promises'
import { reasonOf } from './errors.ts'

/** Size of a file, or of a folder. Rejects for a pipe, which would be waited for, or a device, which may have no end. */
export async function sizeOfOrdinary(path: string): Promise<number> {
  const found = await stat(path)
  if (!found.isFile() && !found.isDirectory()) throw new Error('it is a pipe or a device, not a file')
  return found.size
}

/** What is wrong with a file, without its place on this machine, which is nobody's business. */
export function fileReason(cause: unknown): string {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 'it is missing'
  return reasonOf(cause).split(', ')[0]!
}
