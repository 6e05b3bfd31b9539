import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason } from '../../../base/files.ts'
import { check } from '../../../schemas/check.ts'
import { TableDescription } from '../../../schemas/feature-table.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import { bindMapping, loadKoffi } from '../../graph/onednn/binding.ts'
import type { Bytes } from './bytes.ts'
import { FeatureTable } from './feature-table.ts'
import { descriptionFile } from './table-folder.ts'

/** A table that is open. */
export interface OpenTable {
  table: FeatureTable
  /** Whether its files are mapped, so that all processes share them; otherwise the threads of this one do. */
  isMapped: boolean
  /** Nothing may read the table afterwards. */
  close(): void
}

/** Largest description, bytes. */
const mostDescription = 2 ** 24

/**
 * Opens a version of a table. Its files are mapped where koffi is installed, and else read into memory that threads
 * share. Rejects with an Error that names the file and says what is wrong with it.
 */
export async function openTable(folder: string): Promise<OpenTable> {
  const description = await readDescription(folder)
  const opened: { bytes: Bytes; release(): void }[] = []
  const close = () => {
    for (const { release } of opened.splice(0)) release()
  }
  const map = mapping()
  try {
    const part = async (name: string): Promise<Bytes> => {
      const file = await openFile(join(folder, name), description.files[name]?.bytes, map)
      opened.push(file)
      return file.bytes
    }
    const [rows, index, strings, lists] = [
      await part('rows.bin'),
      await part('index.bin'),
      await part('strings.bin'),
      await part('lists.bin'),
    ]
    return { table: new FeatureTable(description, { rows, index, strings, lists }), isMapped: map !== undefined, close }
  } catch (error) {
    close()
    throw new Error(`${folder}: ${reasonOf(error)}`, { cause: error })
  }
}

export async function readDescription(folder: string): Promise<TableDescription> {
  const path = join(folder, descriptionFile)
  let value: unknown
  try {
    const text = await readFile(path)
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

type Map = ReturnType<typeof bindMapping>

let bound: Map | undefined | null = null

/** Maps files; undefined where koffi isn't installed, or the system maps none. */
function mapping(): Map | undefined {
  if (bound === null)
    try {
      bound = bindMapping(loadKoffi())
    } catch {
      bound = undefined
    }
  return bound
}

async function openFile(
  path: string,
  expected: number | undefined,
  map: Map | undefined,
): Promise<{ bytes: Bytes; release(): void }> {
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    if (size !== expected)
      throw new Error(`${path} has ${size} bytes, and its description says ${expected ?? 'nothing'}`)
    if (size === 0) return { bytes: { buffer: new ArrayBuffer(0), offset: 0, length: 0 }, release: () => undefined }
    if (map) {
      const { buffer, release } = map(handle.fd, 0, size)
      return { bytes: { buffer, offset: 0, length: size }, release }
    }
    return { bytes: { buffer: await readShared(handle, size), offset: 0, length: size }, release: () => undefined }
  } finally {
    await handle.close()
  }
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
