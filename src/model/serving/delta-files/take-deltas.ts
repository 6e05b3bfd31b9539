import { isTransient, reasonOf } from '../../../base/errors.ts'
import { type Refused, readDelta } from './delta-folder.ts'

/** A delta file by its path below a version's folder, and the number in its name. */
export interface NumberedFile {
  sequence: number
  file: string
}

/** A file that is not applied; `transient`: it may be, the next time. */
export type RefusedNow = Refused & { transient: boolean }

/** A state, and the delta files that are in it. */
export interface Applied<State> {
  state: State
  /** Files that are in it. */
  count: number
  /** The file after them. */
  refused: RefusedNow | undefined
}

/** Takes delta files in order, up to the first that `decode` or `take` throws an Error for. Never rejects. */
export async function takeDeltas<Delta extends { sequence: number }>(
  folder: string,
  files: readonly NumberedFile[],
  decode: (bytes: Buffer) => Delta,
  take: (delta: Delta) => void,
): Promise<Omit<Applied<never>, 'state'>> {
  for (const [count, { sequence, file }] of files.entries())
    try {
      const delta = decode(await readDelta(folder, file))
      if (delta.sequence !== sequence) throw new Error(`says that it is number ${delta.sequence}`)
      take(delta)
    } catch (error) {
      return { count, refused: { file, reason: reasonOf(error), transient: isTransient(error) } }
    }
  return { count: files.length, refused: undefined }
}
