import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../base/errors.ts'

/*
 * Files that are checked when they are read: their sizes, and SHA-256 or times of change, are in a description, whose first
 * line is its own SHA-256.
 */

/** A file's size and SHA-256; for one too large to hash at each start, the time of the last change, ms. */
export interface StoredFile {
  bytes: number
  sha256: string
  changed?: number
}

/** Files up to this size are hashed when they are read; for larger ones size and time of change are checked. */
const hashedBytes = 64 * 1024 * 1024

/** Describes a file that is complete. `bytes`: its content, if it is in memory. */
export async function describeStored(path: string, bytes?: Uint8Array): Promise<StoredFile> {
  const { size, mtimeMs } = await stat(path)
  if (size > hashedBytes) return { bytes: size, sha256: '', changed: mtimeMs }
  return { bytes: size, sha256: hashOf(bytes ?? (await readFile(path))) }
}

/** Rejects with an Error that names the first file that is not as described. */
export async function checkStored(folder: string, files: Record<string, StoredFile>): Promise<void> {
  for (const [file, { bytes, sha256, changed }] of Object.entries(files)) {
    const path = join(folder, file)
    const { size, mtimeMs } = await stat(path).catch((error) => {
      throw error.code === 'ENOENT' ? new Error(`${file} is missing`) : error
    })
    if (changed !== undefined && mtimeMs !== changed) throw new Error(`${file} was changed`)
    if (size !== bytes) throw new Error(`${file} has ${size} bytes, not ${bytes}`)
    if (sha256 !== '' && hashOf(await readFile(path)) !== sha256) throw new Error(`${file} is damaged`)
  }
}

/** The SHA-256 of the rest on the first line, then the description as JSON. */
export function seal(description: unknown): string {
  const text = `${JSON.stringify(description, undefined, 1)}\n`
  return `${hashOf(text)}\n${text}`
}

/** The description in the text of `file`. Throws an Error if it is damaged. */
export function unseal(text: string, file: string): unknown {
  const end = text.indexOf('\n')
  const body = text.slice(end + 1)
  if (end < 0 || text.slice(0, end) !== hashOf(body)) throw new Error(`${file} is damaged`)
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new Error(`${file} is not JSON: ${reasonOf(error)}`)
  }
}

/** The text of a sealed file; undefined if there is none. */
export async function readSealed(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
