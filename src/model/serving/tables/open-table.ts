import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
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

/** A version of a table as each thread of a process opens it, whatever its folder holds by then. */
export interface SharedTable extends DescribedTable {
  /** The folder of the version, which has its deltas, too. */
  folder: string
  /** The folder from which its files are opened, or the files in memory that threads share. */
  content: string | TableFiles
}

export interface DescribedTable {
  description: TableDescription
  /** The identity of the version: SHA-256 of its description, which has those of its files. */
  digest: string
}

/** Largest description, bytes. */
const mostDescription = 2 ** 24

/** A file's bytes, which `release` gives back: nothing may read them afterwards. */
interface OpenFile {
  bytes: Bytes
  release(): void
}

/**
 * Opens a version of a table where it is, unverified: a write into its files may end the process. Its files are mapped
 * where koffi is installed, and else read. Throws an Error that names the file and says what is wrong with it.
 */
export function openTable(folder: string): OpenTable {
  return openShared({ folder, ...describeTable(folder), content: folder })
}

/** Opens a version of a table in this thread. Throws as `openTable` does. */
export function openShared(shared: SharedTable): OpenTable {
  const { description, content } = shared
  if (typeof content !== 'string') return openFiles(shared, content, [])
  const map = mapping()
  const files: OpenFile[] = []
  try {
    for (const name of fileNames) files.push(openFile(join(content, name), description, map))
    const [rows, index, strings, lists] = files.map(({ bytes }) => bytes) as [Bytes, Bytes, Bytes, Bytes]
    return openFiles(shared, { rows, index, strings, lists }, files)
  } catch (error) {
    for (const { release } of files) release()
    throw error
  }
}

function openFiles(shared: SharedTable, files: TableFiles, opened: readonly OpenFile[]): OpenTable {
  const { folder, description } = shared
  try {
    return {
      table: new FeatureTable(description, files),
      description,
      shared,
      close: () => opened.forEach(({ release }) => void release()),
    }
  } catch (error) {
    throw new Error(`${folder}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Throws an Error where a file has another size than its description says. */
export function checkSize(path: string, size: number, { files }: TableDescription): void {
  const expected = files[basename(path)]?.bytes
  if (size !== expected) throw new Error(`${path} has ${size} bytes, and its description says ${expected ?? 'nothing'}`)
}

function openFile(path: string, description: TableDescription, map: MapFile | undefined): OpenFile {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    checkSize(path, size, description)
    if (map && size > 0) {
      const { buffer, release } = map(file, 0, size)
      return { bytes: { buffer, offset: 0, length: size }, release }
    }
    return { bytes: readShared(file, path, size), release: () => undefined }
  } finally {
    closeSync(file)
  }
}

/** Reads a file into memory that threads share; `onRead` receives each part of it. Throws the system's error. */
export function readShared(file: number, path: string, size: number, onRead?: (part: Uint8Array) => void): Bytes {
  const buffer = new SharedArrayBuffer(size)
  const bytes = new Uint8Array(buffer)
  for (let at = 0; at < size; ) {
    const bytesRead = readSync(file, bytes, at, Math.min(size - at, 2 ** 22), at)
    if (bytesRead === 0) throw new Error(`${path} ends after ${at} of ${size} bytes`)
    onRead?.(bytes.subarray(at, at + bytesRead))
    at += bytesRead
  }
  return { buffer, offset: 0, length: size }
}

export function readDescription(folder: string): TableDescription {
  return describeTable(folder).description
}

/** Reads the description of a version in its folder. Throws an Error that names the place and says what is wrong. */
export function describeTable(folder: string): DescribedTable {
  const path = join(folder, descriptionFile)
  let value: unknown
  let digest: string
  try {
    const text = readFileSync(path)
    if (text.length > mostDescription) throw new Error(`has ${text.length} bytes, more than ${mostDescription}`)
    value = JSON.parse(text.toString())
    digest = createHash('sha256').update(text).digest('hex')
  } catch (error) {
    throw new Error(`${path}: ${fileReason(error)}`, { cause: error })
  }
  const problems: ProblemItem[] = []
  const description = check(TableDescription, value, '', problems) as TableDescription
  const [problem] = problems
  if (problem) throw new Error(`${path}: ${problem.path || 'as a whole'} ${problem.message}`)
  return { description, digest }
}

type MapFile = ReturnType<typeof bindMapping>

let bound: MapFile | undefined | null = null

/** Maps files; undefined where koffi isn't installed, or the system maps none. */
export function mapping(): MapFile | undefined {
  if (bound === null)
    try {
      bound = bindMapping(loadKoffi())
    } catch {
      bound = undefined
    }
  return bound
}
