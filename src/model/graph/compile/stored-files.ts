import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'

/*
 * Files that are checked when they are read: their sizes, and SHA-256 or times of change, are in a description, whose
 * first line is its own SHA-256.
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

/** File beside plans of one structure with what their graphs cost. */
export function costsFile(structure: string): string {
  return `costs-${structure.slice(0, 32)}.json`
}

/** Unused plans are removed after this time, s. */
const keptSeconds = 7 * 24 * 3600
/** A plan that was loaded so recently may be in use by a server that is starting, s. */
const recentSeconds = 60

interface Stored {
  path: string
  /** Since it was written or loaded, s. */
  age: number
}

/**
 * Removes unused plans and leftovers of interrupted writers; where plans take more than `most` bytes, also those that
 * were loaded longest ago. 0 or undefined: no limit. Never rejects.
 */
export async function cleanCache(cache: string, now: number, most = 0): Promise<void> {
  const plans: Stored[] = []
  for (const name of await readdir(cache).catch(() => [])) {
    const path = join(cache, name)
    if (/^costs-[0-9a-f]{32}\.json$/.test(name)) await removeOld(path, now)
    if (!/^[0-9a-f]{32}/.test(name)) continue
    const used = await stat(path).catch(() => undefined)
    const unfinished = /\.\d+\.[0-9a-f]{8}$/.test(name)
    const age = used === undefined ? 0 : (now - used.mtimeMs) / 1000
    if (age > (unfinished ? 3600 : keptSeconds)) await remove(path)
    else if (!unfinished) plans.push({ path, age })
  }
  if (most === 0) return
  let bytes = 0
  for (const { path, age } of plans.sort((a, b) => a.age - b.age)) {
    bytes += await sizeOf(path, true)
    if (bytes > most && age > recentSeconds) await remove(path)
  }
}

/** Costs that would be measured again in any case. */
async function removeOld(path: string, now: number): Promise<void> {
  const written = await stat(path).catch(() => undefined)
  if (written !== undefined && (now - written.mtimeMs) / 1000 > keptSeconds) await remove(path)
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined)
}

/** Bytes of the files in a folder; `recursive`: and in those below it, as a catalogue's. */
export async function sizeOf(folder: string, recursive = false): Promise<number> {
  const names = await readdir(folder, { recursive }).catch(() => [])
  const sizes = names.map((name) => stat(join(folder, name)).catch(() => undefined))
  return (await Promise.all(sizes)).reduce((sum, found) => sum + (found?.size ?? 0), 0)
}
