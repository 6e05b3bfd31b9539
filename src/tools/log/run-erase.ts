import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { RunContext } from '../../base/command.ts'
import { loggedHash } from '../../base/logged-hash.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, grouped } from '../../base/terminal.ts'
import { copyOf, isHeld, removeSilent, waitForCopy } from '../../prediction-log/copies.ts'
import {
  expectFiles,
  type LogFile,
  leftovers,
  logFiles,
  otherPath,
  readRecords,
} from '../../prediction-log/log-records.ts'
import { writeParquet } from '../../prediction-log/parquet/write-parquet.ts'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { DamagedFiles } from './damaged-files.ts'

interface Erase extends RunContext {
  folder: string
  field: string
  value: string
  secret: string | undefined
}

/**
 * `multigate log erase`: removes the records that have a value, or its hash, in a field of their context or of a
 * candidate. Answers whether none is left: files that are being written, or damaged, can't be changed.
 */
export async function runErase({ folder, field, value, secret, out, err, signal }: Erase): Promise<boolean> {
  const wanted = new Set([value, ...(secret ? [loggedHash(value, secret)] : [])])
  const progress = createProgress(err)
  let files = await expectFiles(folder)
  for (const path of await leftovers(folder)) await removeSilent(path)
  const searched = new Set<string>()
  const damaged = new DamagedFiles()
  let [erased, left, changed, isKnown] = [0, 0, 0, false]
  async function search(file: LogFile) {
    let found = 0
    for await (const { record } of readRecords(file, signal)) {
      if (names(record, field, wanted)) found++
      else isKnown ||= has(record, field)
    }
    if (found === 0) return
    if (file.isOpen) {
      left += found
      return
    }
    await rewrite(file, (record) => !names(record, field, wanted), signal)
    erased += found
    changed++
  }
  try {
    while (files.length > 0) {
      for (const [i, file] of files.entries()) {
        progress.rows('searching files', i, files.length)
        searched.add(stemOf(file))
        await damaged.spare(() => search(file))
      }
      // Files that were begun meanwhile, or that were listed under neither name while they were converted.
      // A log that is one file may be gone with its records.
      const isFile = files.some(({ path }) => path === folder)
      files = isFile ? [] : (await logFiles(folder)).filter((file) => !searched.has(stemOf(file)))
    }
  } finally {
    progress.stop()
  }
  out.write(`${counted(erased, 'record')} erased from ${grouped(changed)} of ${counted(searched.size, 'file')}\n`)
  if (erased + left === 0 && !isKnown) out.write(`no record has a field ${field}: is this its name?\n`)
  if (left > 0)
    out.write(`${grouped(left)} more are in files that are being written: erase again when these are complete\n`)
  return damaged.report(err, 'nothing was erased from') && left === 0
}

/** The path of a file without what says its kind. */
const stemOf = ({ path }: LogFile) => path.replace(/\.(?:jsonl(?:\.open)?|parquet)$/, '')

const names = (record: LogRecord, field: string, wanted: ReadonlySet<string>) =>
  valuesOf(record, field).some((value) => holds(value, wanted))

const has = (record: LogRecord, field: string) => valuesOf(record, field).some((value) => value !== undefined)

/** The values that a record has in a field, of its context and candidates; undefined where one of these lacks it. */
function valuesOf({ context, fetched, candidates = [] }: LogRecord, field: string): unknown[] {
  const of = (values: Record<string, unknown> | undefined) =>
    values !== undefined && Object.hasOwn(values, field) ? values[field] : undefined
  const ofCandidates = candidates.flatMap((one) => [
    of(one.fields),
    of(one.fetched),
    field === 'id' ? one.id : undefined,
  ])
  return [of(context), of(fetched), ...ofCandidates]
}

function holds(value: unknown, wanted: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((one) => holds(one, wanted))
  if (typeof value === 'object' && value !== null) return holds((value as { values?: unknown }).values, wanted)
  return (typeof value === 'string' || typeof value === 'number') && wanted.has(String(value))
}

/**
 * Writes the records that stay into a copy, which then takes the place of the file. Waits for a process that converts
 * it at this moment, and changes what that has made of it.
 */
async function rewrite(listed: LogFile, stays: (record: LogRecord) => boolean, signal: AbortSignal): Promise<void> {
  const copy = copyOf(listed.path)
  const handle = await waitForCopy(copy, signal)
  const other = otherPath(listed.path)
  const file = !existsSync(listed.path) && existsSync(other) ? { ...listed, path: other } : listed
  let [records, isHeldStill, isRenamed] = [0, true, false]
  async function writeLines() {
    let [count, text] = [0, '']
    for await (const line of readRecords(file, signal)) {
      if (!stays(line.record)) continue
      count++
      text += `${line.text}\n`
      if (text.length < 1 << 20) continue
      await handle.appendFile(text)
      text = ''
    }
    await handle.appendFile(text)
    return count
  }
  async function* sized() {
    for await (const { text, record } of readRecords(file, signal))
      if (stays(record)) yield { record, length: text.length }
  }
  try {
    records = await (file.path.endsWith('.parquet') ? writeParquet(handle, sized) : writeLines())
    await handle.sync()
    isHeldStill = await isHeld(copy, handle)
    if (isHeldStill) {
      // Left by a process that was killed while it converted this file: it has the same records. It goes first, as
      // others may convert the file once the copy is gone.
      if (file.path.endsWith('.jsonl')) await rm(otherPath(file.path), { force: true })
      if (records === 0) await rm(file.path, { force: true })
      else {
        await rename(copy, file.path)
        isRenamed = true
      }
    }
  } finally {
    await handle.close()
    // Another process may begin a copy of this name afterwards.
    if (isHeldStill && !isRenamed) await rm(copy, { force: true })
  }
  if (!isHeldStill) await rewrite(listed, stays, signal)
}
