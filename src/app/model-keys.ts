import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { reasonOf } from '../model/base/errors.ts'
import { fileProblem } from '../model/base/regular-file.ts'
import { parsePublicKeys } from '../model/version/signature.ts'

/** The keys that may sign versions; none where no file is configured. Rejects with an Error that names the file. */
export async function readModelKeys(file: string): Promise<KeyObject[]> {
  if (file === '') return []
  const pem = await readFile(file, 'utf8').catch((cause) => {
    throw new Error(`MULTIGATE_MODEL_KEYS: ${file} ${fileProblem(cause)}`)
  })
  try {
    return parsePublicKeys(pem)
  } catch (error) {
    throw new Error(`MULTIGATE_MODEL_KEYS: ${file} ${reasonOf(error)}`)
  }
}
