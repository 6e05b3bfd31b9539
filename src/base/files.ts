import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { access, constants, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { ModelError, reasonOf } from './errors.ts'

/** Not a pipe, which blocks, nor a device, which may never end. */
export const isOrdinary = (found: Stats) => found.isFile() || found.isDirectory()

/** Size of a file or folder. Rejects for pipes, which block, and devices, which may never end. */
export async function sizeOfOrdinary(path: string): Promise<number> {
  const found = await stat(path)
  if (!isOrdinary(found)) throw new Error('it is a pipe or a device, not a file')
  return found.size
}

/**
 * The real path of a file below `inside`, which is a real path itself; `where` names the file. Rejects with
 * INVALID_BUNDLE if it leads out, with the system's error if there is no such file.
 */
export async function realPathInside(inside: string, path: string, where: string): Promise<string> {
  const real = await realpath(path)
  // Names may begin with two dots: Kubernetes mounts files as links into a folder `..data`.
  if (`${relative(inside, real)}${sep}`.startsWith(`..${sep}`))
    throw new ModelError('INVALID_BUNDLE', `${where} leads out of its folder`)
  return real
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

/**
 * The folder itself, or the nearest above it that exists: where it would be created. Rejects with an Error that says
 * why nothing can be written there.
 */
export async function existingFolder(path: string): Promise<string> {
  let at = resolve(path)
  let found = await stat(at).catch(() => undefined)
  while (found === undefined && at !== dirname(at)) {
    at = dirname(at)
    found = await stat(at).catch(() => undefined)
  }
  if (!found?.isDirectory()) throw new Error(`${at} is not a folder`)
  await access(at, constants.W_OK | constants.X_OK)
  return at
}

/**
 * Creates a folder and those above it. Unlike `mkdir(…, { recursive: true })` it ends in file systems that refuse new
 * folders with ENOENT, as /proc does. Rejects with the system's error.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await make(path)
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    if (!exists || !(await stat(path)).isDirectory()) throw error
  }
}

/**
 * Writes a file in one step, so that no reader sees half of it; `mode`: its permissions. Rejects with the system's
 * error, and leaves what was there.
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode?: number): Promise<void> {
  await replaceFiles({ [path]: content }, mode)
}

/** The same for several files, by path: none is replaced before all are written. */
export async function replaceFiles(files: Readonly<Record<string, string | Uint8Array>>, mode?: number): Promise<void> {
  const suffix = `${process.pid}.${randomUUID().slice(0, 8)}`
  const written = Object.keys(files).map((path) => [path, join(dirname(path), `.${basename(path)}.${suffix}`)] as const)
  try {
    for (const [path, name] of written) await writeFile(name, files[path]!, { flag: 'wx', ...(mode && { mode }) })
    for (const [path, name] of written) await rename(name, path)
  } catch (error) {
    for (const [, name] of written) await rm(name, { force: true })
    throw error
  }
}

/** Whether `name` is what is left of writing `file` where the process was killed meanwhile. */
export function isLeftOf(file: string, name: string): boolean {
  return name.startsWith(`.${file}.`) && /^\d+\.[0-9a-f]{8}$/.test(name.slice(file.length + 2))
}

/** The absolute path of `name` below `base`; throws INVALID_BUNDLE if it is absolute or leaves `folder`. */
export function pathInside(folder: string, base: string, name: string): string {
  const path = resolve(join(base, name))
  const fromFolder = relative(folder, path)
  if (isAbsolute(name) || fromFolder === '' || fromFolder === '..' || fromFolder.startsWith(`..${sep}`))
    throw new ModelError('INVALID_BUNDLE', `${name}: is not a path inside the folder of the model`)
  return path
}
