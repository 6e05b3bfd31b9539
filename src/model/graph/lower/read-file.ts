import { readFile } from 'node:fs/promises'
import type { Static, TSchema } from 'typebox'
import { Check, Errors } from 'typebox/schema'
import { reasonOf } from '../../../base/errors.ts'
import { fileProblem, sizeOfOrdinary } from '../../../base/files.ts'
import { plainProblems } from '../../../schemas/check.ts'
import { invalidIn } from '../ir/file-errors.ts'

/* Files of saved graphs. All reject or throw INVALID_BUNDLE, naming `file`. */

/** The bytes of a file of at most `largest`. */
export async function readBounded(path: string, file: string, largest: number): Promise<Buffer> {
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largest) throw new Error(`it has ${size} bytes, more than ${largest}`)
    return await readFile(path)
  } catch (cause) {
    throw invalidIn(file, fileProblem(cause), cause)
  }
}

export async function readJson(path: string, file: string, largest = Number.POSITIVE_INFINITY): Promise<unknown> {
  const bytes = await readBounded(path, file, largest)
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw invalidIn(file, `is not JSON: ${reasonOf(cause)}`, cause)
  }
}

/** `value` if it has the form of `schema`; else the error has `problem` and the first mismatch. */
export function checkFormat<T extends TSchema>(schema: T, value: unknown, file: string, problem: string): Static<T> {
  if (Check(schema, value)) return value
  const [mismatch] = Errors(schema, value)[1].flatMap(plainProblems)
  throw invalidIn(file, `${problem}: ${mismatch?.path || '/'} ${mismatch?.message}`)
}
