import { readFile, stat } from 'node:fs/promises'
import { reasonOf } from '../base/errors.ts'
import { fileProblem } from '../base/files.ts'
import { Keyring } from '../server/security/keyring.ts'

/** Bytes of a file of keys, at most: 10,000 keys have 4 MB. */
const longestFile = 16 * 1024 * 1024

/**
 * Reads a file of keys. Rejects with an Error that names the file where it is missing, broken, too large, or where
 * everyone may write it.
 */
export async function readKeys(path: string): Promise<{ keyring: Keyring; warning: string | undefined }> {
  try {
    const found = await stat(path).catch((cause) => {
      throw new Error(fileProblem(cause))
    })
    if (!found.isFile()) throw new Error('is not a file')
    if (found.size > longestFile) throw new Error(`has ${found.size} bytes, more than ${longestFile}`)
    if (process.platform !== 'win32' && (found.mode & 0o002) !== 0)
      throw new Error('is writable by everyone, who could add keys; chmod o-w')
    const text = await readFile(path, 'utf8').catch((cause) => {
      throw new Error(fileProblem(cause))
    })
    const readable = process.platform !== 'win32' && (found.mode & 0o004) !== 0
    return {
      keyring: parse(text),
      warning: readable ? 'is readable by everyone; it holds no keys, but lists their owners: chmod o-r' : undefined,
    }
  } catch (error) {
    throw new Error(`the file of keys ${path} ${reasonOf(error)}`)
  }
}

function parse(text: string): Keyring {
  try {
    return new Keyring(text)
  } catch (error) {
    throw new Error(`can't be used: ${reasonOf(error)}`)
  }
}
