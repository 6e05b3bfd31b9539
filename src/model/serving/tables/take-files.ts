import { createHash, randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { copyFile, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import { makeFolder } from '../../../base/files.ts'
import type { TableDescription } from '../../../schemas/feature-table.ts'
import type { Bytes } from './bytes.ts'
import type { TableFiles } from './feature-table.ts'
import { checkSize, readShared } from './open-table.ts'
import { descriptionFile, fileNames, unfinishedPrefix } from './table-folder.ts'

export interface TakeRequest {
  /** The folder of a version. */
  folder: string
  description: TableDescription
  /** Reads its files into memory, copies them to a folder, or only verifies them. */
  into: 'memory' | { copy: string } | undefined
}

export interface TakenFiles {
  /** Its files, where they are in memory. */
  files?: TableFiles
  /** Why they can't be copied. */
  uncopied?: string
}

/** The message of a thread. */
export type TakenInThread = TakenFiles | { problem: string; transient: boolean }

/** `takeFiles` for a thread, which can't pass errors on. Never rejects. */
export async function takeFilesApart(request: TakeRequest): Promise<TakenInThread> {
  return takeFiles(request).catch((error) => ({ problem: reasonOf(error), transient: isTransient(error) }))
}

/**
 * Verifies the files of a version by the digests of its description, after they are read or copied: they may change
 * meanwhile.
 * Rejects with INVALID_BUNDLE, naming the file that has another content, or with the system's error.
 */
export async function takeFiles({ folder, description, into }: TakeRequest): Promise<TakenFiles> {
  if (into === 'memory') {
    const [rows, index, strings, lists] = fileNames.map((name) => readVerified(join(folder, name), description))
    return { files: { rows: rows!, index: index!, strings: strings!, lists: lists! } }
  }
  if (into !== undefined)
    try {
      await copyVerified(folder, description, into.copy)
      return {}
    } catch (error) {
      if (error instanceof ModelError) throw error
      // Its own folder may be what can't be read: that says so.
      await verifyFiles(folder, description)
      return { uncopied: reasonOf(error) }
    }
  await verifyFiles(folder, description)
  return {}
}

function readVerified(path: string, description: TableDescription): Bytes {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    checkSize(path, size, description)
    const hash = createHash('sha256')
    const bytes = readShared(file, path, size, (part) => hash.update(part))
    expectDigest(path, hash.digest('hex'), description)
    return bytes
  } finally {
    closeSync(file)
  }
}

/** Copies the files, by sharing their blocks where the file system can, and verifies the copies. */
async function copyVerified(folder: string, description: TableDescription, copy: string): Promise<void> {
  const building = join(dirname(copy), `${unfinishedPrefix}${randomUUID().slice(0, 8)}`)
  await makeFolder(building)
  try {
    for (const name of fileNames)
      await copyFile(join(folder, name), join(building, name), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    await verifyFiles(building, description, folder)
    await rename(building, copy).catch(async () => {
      const isSound = await verifyFiles(copy, description).then(
        () => true,
        () => false,
      )
      if (isSound) return
      await rm(copy, { recursive: true, force: true })
      await rename(building, copy)
    })
  } finally {
    await rm(building, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** `named`: the folder that messages name. */
async function verifyFiles(folder: string, description: TableDescription, named = folder): Promise<void> {
  const buffer = Buffer.allocUnsafe(2 ** 20)
  for (const name of fileNames) {
    const path = join(named, name)
    const file = await open(join(folder, name))
    try {
      checkSize(path, (await file.stat()).size, description)
      const hash = createHash('sha256')
      for (;;) {
        const { bytesRead } = await file.read(buffer)
        if (bytesRead === 0) break
        hash.update(buffer.subarray(0, bytesRead))
      }
      expectDigest(path, hash.digest('hex'), description)
    } finally {
      await file.close()
    }
  }
}

function expectDigest(path: string, actual: string, { files }: TableDescription): void {
  const expected = files[basename(path)]?.sha256
  if (actual !== expected)
    throw new ModelError(
      'INVALID_BUNDLE',
      `${path} is damaged: its SHA-256 is ${actual}, ${descriptionFile} says ${expected}`,
    )
}
