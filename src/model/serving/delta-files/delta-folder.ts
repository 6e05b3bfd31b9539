import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileProblem, realPathInside, sizeOfOrdinary } from '../../../base/files.ts'

/**
 * Folder of a version's deltas, below its own: they come and go while the version is served, and belong to none of its
 * digests.
 */
export const deltasFolder = 'deltas'

/** Whether a path below a version's folder is of its deltas. */
export function isOfDeltas(path: string): boolean {
  return path.split(/[/\\]/)[0] === deltasFolder
}

const name = /^delta-([1-9][0-9]{0,8})\.bin$/
/** The name of a file that was meant to be a delta. */
const like = /^delta-.*\.bin$/

/** A delta file of a version. */
export interface DeltaFile {
  sequence: number
  /** Its path below the version's folder. */
  file: string
  bytes: number
  /** Changes when the file does. */
  stamp: string
}

/** A file that is not applied, and why. */
export interface Refused {
  file: string
  reason: string
}

export interface FoundDeltas {
  /** 1, 2, 3 … without a gap. */
  files: DeltaFile[]
  /** The first that is not one of these. */
  refused: Refused | undefined
}

export const fileOf = (sequence: number) => `${deltasFolder}/delta-${sequence}.bin`

/** The number in a delta's name; undefined for another name. */
export function sequenceOf(file: string): number | undefined {
  const found = name.exec(file)
  return found === null ? undefined : Number(found[1])
}

/**
 * The deltas of the version in `folder`. Rejects with the system's error where they can't be listed, and where the
 * version's folder is gone, with INVALID_BUNDLE where one leads out of it: then nothing is known of them.
 */
export async function findDeltas(folder: string): Promise<FoundDeltas> {
  const names = await readdir(join(folder, deltasFolder)).catch(async (error) => {
    if (error.code !== 'ENOENT') throw error
    await stat(folder)
    return []
  })
  const inside = await realpath(folder)
  const sequences = names.flatMap((file) => sequenceOf(file) ?? []).sort((a, b) => a - b)
  const gap = sequences.findIndex((sequence, i) => sequence !== i + 1)
  const contiguous = gap < 0 ? sequences : sequences.slice(0, gap)
  const files = await Promise.all(
    contiguous.map(async (sequence) => {
      const file = fileOf(sequence)
      const { mtimeMs, size, ino } = await stat(await realPathInside(inside, join(folder, file), file))
      return { sequence, file, bytes: size, stamp: `${mtimeMs} ${size} ${ino}` }
    }),
  )
  const odd = names.sort().find((file) => like.test(file) && sequenceOf(file) === undefined)
  if (gap >= 0) return { files, refused: { file: fileOf(sequences[gap]!), reason: `${fileOf(gap + 1)} is missing` } }
  return {
    files,
    refused:
      odd === undefined ? undefined : { file: `${deltasFolder}/${odd}`, reason: 'is not named delta-<number>.bin' },
  }
}

/** Largest delta file, bytes: as much as is read in one piece. */
const largestFile = 2 ** 31 - 1

/** The bytes of a delta file. Rejects with INVALID_BUNDLE. */
export async function readDelta(folder: string, file: string): Promise<Buffer> {
  const path = join(folder, file)
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestFile) throw new Error(`its ${size} bytes are more than ${largestFile}`)
    return await readFile(path)
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', fileProblem(cause), { cause })
  }
}
