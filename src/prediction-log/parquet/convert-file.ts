import { type FileHandle, link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { reasonOf } from '../../base/errors.ts'
import { readLines } from '../../base/lines.ts'
import { copyOf, isHeld, openCopy } from '../copies.ts'
import { jsonText } from '../json-text.ts'
import { checkRecord, DamagedFile, parseRecord } from '../parse-record.ts'
import { readParquet } from './read-parquet.ts'
import { type SizedRecord, writeParquet } from './write-parquet.ts'

export interface Conversion {
  /** A finished file, `.jsonl` or `.parquet`. */
  source: string
  /** A file of the other kind, or a copy elsewhere. Where it lies beside the source, it takes the source's place. */
  target: string
  inPlace: boolean
  /** Leaves lines out that are damaged, instead of refusing the file. */
  skipDamaged?: boolean
  signal?: AbortSignal
}

export interface Converted {
  /** Undefined for a copy: its records are not read. */
  records?: number
  /** Lines that were left out. */
  skipped: number
}

/** How many records are read between two signs of life. */
const recordsBetween = 1000

/**
 * Writes the records of a file into one of the other kind, which has its name only when it is complete and on the disk.
 * Undefined: the source is gone, or changed meanwhile, and nothing was done. Throws a DamagedFile, with the line, and
 * a CopyInUse where another process changes it at this moment.
 */
export async function convertFile(conversion: Conversion): Promise<Converted | undefined> {
  const { source, target, inPlace } = conversion
  const input = await open(source).catch(orUndefined)
  if (input === undefined) return undefined
  // In place, it keeps others that would change the source away.
  const copy = copyOf(target)
  let output: FileHandle | undefined
  let [isRenamed, isLost] = [false, false]
  try {
    if (!inPlace) await mkdir(dirname(target), { recursive: true })
    output = await openCopy(copy)
    const before = await input.stat()
    const converted = await write(conversion, input, output)
    if (converted.records === 0) throw new DamagedFile('INVALID_REQUEST', `${source} has no records`)
    await output.utimes(before.atime, before.mtime)
    await output.sync()
    const now = await stat(source).catch(orUndefined)
    if (now?.ino !== before.ino || now.size !== before.size) return undefined
    isLost = !(await isHeld(copy, output))
    if (isLost) return undefined
    isRenamed = !(inPlace && (await giveName(copy, target)))
    if (isRenamed) await rename(copy, target)
    await syncFolder(dirname(target))
    if (inPlace && (!isRenamed || (await stat(source).catch(orUndefined))?.ino === before.ino))
      await rm(source, { force: true })
    return converted
  } finally {
    await input.close()
    if (output) {
      await output.close()
      // Another process may begin a copy of this name afterwards.
      if (!isRenamed && !isLost) await rm(copy, { force: true })
    }
  }
}

/**
 * Gives a complete copy its name and leaves the other: nobody may change the source until it is gone. False where the
 * file system has no hard links.
 */
async function giveName(copy: string, target: string): Promise<boolean> {
  // Left by a process that was killed: the source counts.
  await rm(target, { force: true })
  return link(copy, target).then(
    () => true,
    () => false,
  )
}

async function write(conversion: Conversion, input: FileHandle, output: FileHandle): Promise<Converted> {
  const { source, target } = conversion
  let skipped = 0
  if (extname(source) === extname(target)) {
    for await (const chunk of alive(output, input.createReadStream({ start: 0, autoClose: false })))
      await output.appendFile(chunk)
    return { skipped }
  }
  if (target.endsWith('.parquet')) {
    const records = await writeParquet(output, () => {
      skipped = 0
      return alive(
        output,
        linesOf(conversion, input, () => skipped++),
      )
    })
    return { records, skipped }
  }
  let records = 0
  let text = ''
  try {
    for await (const record of alive(output, readParquet(input, conversion.signal))) {
      text += `${jsonText(checkRecord(record))}\n`
      records++
      if (text.length < 1 << 20) continue
      await output.appendFile(text)
      text = ''
    }
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error
    throw new DamagedFile('INVALID_REQUEST', `${source}, ${reasonOf(error)}`)
  }
  await output.appendFile(text)
  return { records, skipped }
}

/** Keeps the copy's time of change young: others remove what looks left behind. */
async function* alive<T>(output: FileHandle, items: AsyncIterable<T>): AsyncGenerator<T> {
  let count = 0
  for await (const item of items) {
    if (count++ % recordsBetween === 0) {
      const now = new Date()
      await output.utimes(now, now)
    }
    yield item
  }
}

async function* linesOf(
  { source, signal, skipDamaged }: Conversion,
  input: FileHandle,
  onSkip: () => void,
): AsyncGenerator<SizedRecord> {
  // Not with the signal: once its lines are read, nobody listens to the errors of a stream that stays open.
  const stream = input.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 18 })
  let number = 0
  for await (const text of readLines(stream)) {
    signal?.throwIfAborted()
    number++
    try {
      yield { record: parseRecord(text), length: text.length }
    } catch (error) {
      if (!skipDamaged) throw new DamagedFile('INVALID_REQUEST', `${source}, line ${number}: ${reasonOf(error)}`)
      onSkip()
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function orUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
