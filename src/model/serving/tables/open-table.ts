import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason } from '../../../base/files.ts'
import { check } from '../../../schemas/check.ts'
import { TableDescription } from '../../../schemas/feature-table.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import { bindMapping, loadKoffi } from '../../graph/onednn/binding.ts'
import type { Bytes } from './bytes.ts'
import { FeatureTable, type TableFiles } from './feature-table.ts'
import { descriptionFile, fileNames } from './table-folder.ts'

/** A table that is open. */
export interface OpenTable {
  table: FeatureTable
  description: TableDescription
  /** How other threads open the same. */
  shared: SharedTable
  /** Nothing may read the table afterwards. */
  close(): void
}

/** A table that another thread may open, too. */
export interface SharedTable {
  folder: string
  /** Its files, where they are in memory that threads share. */
  files?: TableFiles | undefined
}

/** Largest description, bytes. */
const mostDescription = 2 ** 24

/** A file's bytes, which `release` gives back: nothing may read them afterwards. */
interface OpenFile {
  bytes: Bytes
  release(): void
}

/**
 * Opens a version of a table. Its files are mapped where koffi is installed, and else read into memory that threads
 * share. Rejects with an Error that names the file and says what is wrong with it.
 */
export async function openTable(folder: string): Promise<OpenTable> {
  const map = mapping()
  if (map) return openTableNow({ folder })
  const description = readDescription(folder)
  const files: OpenFile[] = []
  for (const name of fileNames) {
    const path = join(folder, name)
    const handle = await open(path)
    try {
      const { size } = await handle.stat()
      checkSize(path, size, description)
      files.push({
        bytes: { buffer: await readShared(handle, size), offset: 0, length: size },
        release: () => undefined,
      })
    } finally {
      await handle.close()
    }
  }
  return joinFiles(folder, description, files)
}

/** The same without a promise, for a thread that may wait. Throws. */
export function openTableNow({ folder, files: shared }: SharedTable): OpenTable {
  const description = readDescription(folder)
  if (shared) return openFiles(folder, description, shared, [])
  const map = mapping()
  const files: OpenFile[] = []
  try {
    for (const name of fileNames) files.push(openFileNow(join(folder, name), description, map))
    return joinFiles(folder, description, files)
  } catch (error) {
    for (const { release } of files) release()
    throw error
  }
}

function joinFiles(folder: string, description: TableDescription, files: readonly OpenFile[]): OpenTable {
  const [rows, index, strings, lists] = files.map(({ bytes }) => bytes) as [Bytes, Bytes, Bytes, Bytes]
  return openFiles(folder, description, { rows, index, strings, lists }, files)
}

function openFiles(
  folder: string,
  description: TableDescription,
  files: TableFiles,
  opened: readonly OpenFile[],
): OpenTable {
  const isShared = files.rows.buffer instanceof SharedArrayBuffer
  try {
    return {
      table: new FeatureTable(description, files),
      description,
      shared: { folder, ...(isShared && { files }) },
      close: () => opened.forEach(({ release }) => void release()),
    }
  } catch (error) {
    throw new Error(`${folder}: ${reasonOf(error)}`, { cause: error })
  }
}

function checkSize(path: string, size: number, { files }: TableDescription): void {
  const expected = files[basename(path)]?.bytes
  if (size !== expected) throw new Error(`${path} has ${size} bytes, and its description says ${expected ?? 'nothing'}`)
}

function openFileNow(path: string, description: TableDescription, map: MapFile | undefined): OpenFile {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    checkSize(path, size, description)
    if (map && size > 0) {
      const { buffer, release } = map(file, 0, size)
      return { bytes: { buffer, offset: 0, length: size }, release }
    }
    const buffer = new SharedArrayBuffer(size)
    for (let at = 0; at < size; ) {
      const bytesRead = readSync(file, new Uint8Array(buffer), at, Math.min(size - at, 2 ** 26), at)
      if (bytesRead === 0) throw new Error(`${path} ends after ${at} of ${size} bytes`)
      at += bytesRead
    }
    return { bytes: { buffer, offset: 0, length: size }, release: () => undefined }
  } finally {
    closeSync(file)
  }
}

export function readDescription(folder: string): TableDescription {
  const path = join(folder, descriptionFile)
  let value: unknown
  try {
    const text = readFileSync(path)
    if (text.length > mostDescription) throw new Error(`has ${text.length} bytes, more than ${mostDescription}`)
    value = JSON.parse(text.toString())
  } catch (error) {
    throw new Error(`${path}: ${fileReason(error)}`, { cause: error })
  }
  const problems: ProblemItem[] = []
  const description = check(TableDescription, value, '', problems) as TableDescription
  const [problem] = problems
  if (problem) throw new Error(`${path}: ${problem.path || 'as a whole'} ${problem.message}`)
  return description
}

type MapFile = ReturnType<typeof bindMapping>

let bound: MapFile | undefined | null = null

/** Maps files; undefined where koffi isn't installed, or the system maps none. */
function mapping(): MapFile | undefined {
  if (bound === null)
    try {
      bound = bindMapping(loadKoffi())
    } catch {
      bound = undefined
    }
  return bound
}

/** The content of a file in memory that threads share. */
async function readShared(handle: FileHandle, size: number): Promise<SharedArrayBuffer> {
  const buffer = new SharedArrayBuffer(size)
  const bytes = new Uint8Array(buffer)
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(size - at, 2 ** 26), at)
    if (bytesRead === 0) throw new Error(`ends after ${at} of ${size} bytes`)
    at += bytesRead
  }
  return buffer
}
