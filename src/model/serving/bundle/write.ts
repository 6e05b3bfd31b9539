import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, mkdtemp, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileReason, makeFolder } from '../../../base/files.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import { manifestFile, parseManifest } from './manifest.ts'

export interface NewBundle {
  /** Everything but the checksums, which are computed here. */
  manifest: Omit<Manifest, 'files'>
  /** Contents by path below the version's folder, or a verified file to copy. */
  files: Record<string, Uint8Array | CopiedFile>
}

/** A file of another version, whose checksum is known. */
export interface CopiedFile {
  from: string
  sha256: string
}

/**
 * Writes a model version into `folder`, which appears whole or not at all: it is written beside, flushed to disk and
 * renamed. Its place until then has a name that begins with a dot, which is no version.
 *
 * Rejects with INVALID_BUNDLE if the manifest is malformed or contradicts itself or its files, if a path leads out of
 * the folder, or if `folder` exists already and `replace` isn't set; with an Error that names `folder` if the disk is
 * full.
 */
export async function writeBundle(
  folder: string,
  { manifest, files }: NewBundle,
  { replace = false } = {},
): Promise<void> {
  for (const path of Object.keys(files)) {
    const forbidden = isAbsolute(path) || normalize(path).startsWith('..') || normalize(path) === manifestFile
    if (forbidden) throw new ModelError('INVALID_BUNDLE', `${JSON.stringify(path)} can't be a file of a version`)
  }
  const checksums = Object.fromEntries(
    Object.entries(files).map(([path, file]) => [path, file instanceof Uint8Array ? sha256(file) : file.sha256]),
  )
  const text = `${JSON.stringify({ ...manifest, files: checksums }, undefined, 2)}\n`
  parseManifest(text, join(folder, manifestFile))

  await makeFolder(dirname(folder))
  const temporary = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`))
  try {
    const whole = join(temporary, 'new')
    for (const [path, file] of Object.entries(files)) await place(join(whole, path), file)
    await writeFlushed(join(whole, manifestFile), Buffer.from(text))
    await flushFolder(whole)
    if (replace) await rename(folder, join(temporary, 'old')).catch(ignoreAbsent)
    await rename(whole, folder).catch((cause) => {
      throw cause.code === 'ENOTEMPTY' || cause.code === 'EEXIST'
        ? new ModelError('INVALID_BUNDLE', `${folder} exists already`, { cause })
        : cause
    })
    await flushFolder(dirname(folder))
  } catch (cause) {
    throw namesNoFile(cause) ? new Error(`${folder} can't be written: ${fileReason(cause)}`, { cause }) : cause
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Whether an error is one of the system about an open file, as of a full disk. */
function namesNoFile(cause: unknown): boolean {
  const { syscall, path } = cause as NodeJS.ErrnoException
  return syscall !== undefined && path === undefined
}

async function place(path: string, file: Uint8Array | CopiedFile): Promise<void> {
  if (file instanceof Uint8Array) return writeFlushed(path, file)
  await makeFolder(dirname(path))
  // Without taking room twice where the file system can do that.
  await copyFile(file.from, path, constants.COPYFILE_FICLONE)
  const copy = await open(path, 'r')
  try {
    await copy.sync()
  } finally {
    await copy.close()
  }
}

async function writeFlushed(path: string, bytes: Uint8Array): Promise<void> {
  await makeFolder(dirname(path))
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the names in a folder durable. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
