import { existsSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { RunContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { loggedHash } from '../../base/logged-hash.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, grouped } from '../../base/terminal.ts'
import { keptEnd, openCopy } from '../../prediction-log/copies.ts'
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

interface Erase extends RunContext {
  folder: string
  field: string
  value: string
  secret: string | undefined
}

/**
 * `multigate log erase`: removes the records that have a value, or its hash, in a field of their context or of a
 * candidate. Answers whether none is left: files that are being written can't be changed.
 */
export async function runErase({ folder, field, value, secret, out, err, signal }: Erase): Promise<boolean> {
  const wanted = new Set([value, ...(secret ? [loggedHash(value, secret)] : [])])
  const progress = createProgress(err)
  let files = await expectFiles(folder)
  for (const path of await leftovers(folder)) if (await isSilent(path)) await rm(path, { force: true })
  const searched = new Set<string>()
  let [erased, left, changed] = [0, 0, 0]
  try {
    while (files.length > 0) {
      for (const [i, file] of files.entries()) {
        progress.rows('searching files', i, files.length)
        searched.add(stemOf(file))
        let found = 0
        for await (const { record } of readRecords(file, signal)) if (names(record, field, wanted)) found++
        if (found === 0) continue
        if (file.isOpen) {
          left += found
          continue
        }
        await rewrite(file, (record) => !names(record, field, wanted), signal)
        erased += found
        changed++
      }
      // Files that were begun meanwhile, or that were listed under neither name while they were converted.
      files = (await logFiles(folder)).filter((file) => !searched.has(stemOf(file)))
    }
  } finally {
    progress.stop()
  }
  out.write(`${counted(erased, 'record')} erased from ${grouped(changed)} of ${counted(searched.size, 'file')}\n`)
  if (left > 0)
    out.write(`${grouped(left)} more are in files that are being written: erase again when these are complete\n`)
  return left === 0
}

/** The path of a file without what says its kind. */
const stemOf = ({ path }: LogFile) => path.replace(/\.(?:jsonl(?:\.open)?|parquet)$/, '')

function names({ context, fetched, candidates = [] }: LogRecord, field: string, wanted: ReadonlySet<string>): boolean {
  const has = (values: Record<string, unknown> | undefined) =>
    values !== undefined && Object.hasOwn(values, field) && holds(values[field], wanted)
  if (has(context) || has(fetched)) return true
  return candidates.some((one) => has(one.fields) || has(one.fetched) || (field === 'id' && holds(one.id, wanted)))
}

function holds(value: unknown, wanted: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((one) => holds(one, wanted))
  if (typeof value === 'object' && value !== null) return holds((value as { values?: unknown }).values, wanted)
  return (typeof value === 'string' || typeof value === 'number') && wanted.has(String(value))
}

/** Age from which on nobody writes a copy any more, ms: its process was killed. */
const longestSilence = 60_000

async function isSilent(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs >= longestSilence
}

/** Writes the records that stay into a copy, which then takes the place of the file. */
async function rewrite(file: LogFile, stays: (record: LogRecord) => boolean, signal: AbortSignal): Promise<void> {
  const kept = `${file.path}${keptEnd}`
  const handle = await openCopy(kept)
  let records = 0
  async function* lines() {
    for await (const { text, record } of readRecords(file, signal)) {
      if (!stays(record)) continue
      records++
      yield `${text}\n`
    }
  }
  async function* sized() {
    for await (const { text, record } of readRecords(file, signal))
      if (stays(record)) yield { record, length: text.length }
  }
  try {
    if (!existsSync(file.path) && existsSync(otherPath(file.path)))
      throw new ModelError('INVALID_REQUEST', `${file.path} has been converted meanwhile: erase again`)
    if (file.path.endsWith('.parquet')) {
      records = await writeParquet(handle, sized)
      await handle.sync()
      await handle.close()
    } else await pipeline(lines, handle.createWriteStream({ flush: true }))
    if (records === 0) await rm(file.path, { force: true })
    else await rename(kept, file.path)
    // Left by a process that was killed while it converted this file: it has the same records.
    if (!file.path.endsWith('.parquet')) await rm(otherPath(file.path), { force: true })
  } finally {
    await handle.close().catch(() => undefined)
    await rm(kept, { force: true })
  }
}
