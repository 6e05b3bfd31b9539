import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { RunContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { loggedHash } from '../../base/logged-hash.ts'
import { counted, formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { createProgress } from '../evaluate/format.ts'
import { type LogFile, logFiles, readRecords } from './log-records.ts'

interface Run extends RunContext {
  folder: string
}

interface VersionStats {
  requests: number
  failed: number
  candidates: number
  /** Sums of probabilities, by task. */
  sums: Map<string, { sum: number; count: number }>
  ms: number
  first: string
  last: string
}

/** `multigate log stats`: requests, candidates and mean probabilities by version. */
export async function runStats({ folder, json, out, err, signal }: Run & { json: boolean }): Promise<void> {
  const files = await expectFiles(folder)
  const versions = new Map<string, VersionStats>()
  const progress = createProgress(err)
  let bytes = 0
  let read = 0
  try {
    for (const file of files) {
      bytes += (await stat(file.path)).size
      for await (const { record } of readRecords(file, signal)) {
        count(versions, record)
        progress.rows(`reading ${file.path}`, ++read, undefined)
      }
    }
  } finally {
    progress.stop()
  }
  const rows = [...versions].map(([version, { sums, ms, ...rest }]) => ({
    version,
    ...rest,
    mean_ms: ms / rest.requests,
    mean: Object.fromEntries([...sums].map(([task, { sum, count }]) => [task, sum / count])),
  }))
  if (json) {
    out.write(`${JSON.stringify({ files: files.length, bytes, versions: rows }, undefined, 2)}\n`)
    return
  }
  const cells = rows.map(({ version, requests, failed, candidates, first, last, mean_ms, mean }) => [
    version,
    grouped(requests),
    grouped(failed),
    grouped(candidates),
    mean_ms.toFixed(2),
    Object.entries(mean)
      .map(([task, value]) => `${task} ${value.toPrecision(4)}`)
      .join(', '),
    `${first} to ${last}`,
  ])
  const header = ['version', 'requests', 'failed', 'candidates', 'mean ms', 'mean probabilities', 'time']
  out.write(`${counted(files.length, 'file')}, ${formatBytes(bytes)}\n\n${formatTable(header, cells)}\n`)
}

function count(versions: Map<string, VersionStats>, record: LogRecord): void {
  const version = record.model === undefined ? '(none)' : `${record.model}/${record.version}`
  const stats = versions.get(version) ?? emptyStats(record.time)
  versions.set(version, stats)
  stats.requests++
  if (record.outcome !== 'ok') stats.failed++
  stats.ms += record.ms.total
  if (record.time < stats.first) stats.first = record.time
  if (record.time > stats.last) stats.last = record.time
  for (const { served = {} } of record.candidates ?? []) {
    stats.candidates++
    for (const [task, value] of Object.entries(served)) {
      const sums = stats.sums.get(task) ?? { sum: 0, count: 0 }
      stats.sums.set(task, sums)
      if (value === null) continue
      sums.sum += value
      sums.count++
    }
  }
}

const emptyStats = (time: string): VersionStats => ({
  ...{ requests: 0, failed: 0, candidates: 0, sums: new Map(), ms: 0, first: time, last: time },
})

/** `multigate log tail`: the last records, one line of JSON each. */
export async function runTail({ folder, rows, out, signal }: Run & { rows: number }): Promise<void> {
  const last: { text: string; time: string }[] = []
  // A file that began later may end earlier: of each version one is open.
  for (const file of (await expectFiles(folder)).reverse()) {
    if (last.length >= rows && latestOf(file) < last[0]!.time) break
    for await (const { text, record } of readRecords(file, signal)) {
      last.push({ text, time: record.time })
      if (last.length >= 2 * rows + 1000) cut(last, rows)
    }
    cut(last, rows)
  }
  for (const { text } of last) out.write(`${text}\n`)
}

function cut(last: { time: string }[], rows: number): void {
  last.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
  last.splice(0, Math.max(0, last.length - rows))
}

/** Most time that a file is written for, ms: its last records may be this much later than its name says. */
const longestFile = 86_400_000

/** The latest time that a record of a file may have. */
function latestOf({ name }: LogFile): string {
  const [, date, time, ms] = /^(\d{8})T(\d{6})(\d{3})Z/.exec(name)!
  const begun = Date.parse(
    `${date!.replace(/(\d{4})(\d\d)(\d\d)/, '$1-$2-$3')}T${time!.replace(/(\d\d)(\d\d)(\d\d)/, '$1:$2:$3')}.${ms}Z`,
  )
  return new Date(begun + longestFile).toISOString()
}

interface Erase extends Run {
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
  const files = await expectFiles(folder)
  const progress = createProgress(err)
  let [erased, left, changed] = [0, 0, 0]
  try {
    for (const [i, file] of files.entries()) {
      progress.rows('searching files', i, files.length)
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
  } finally {
    progress.stop()
  }
  out.write(`${counted(erased, 'record')} erased from ${grouped(changed)} of ${counted(files.length, 'file')}\n`)
  if (left > 0)
    out.write(`${grouped(left)} more are in files that are being written: erase again when these are complete\n`)
  return left === 0
}

function names({ context, candidates = [] }: LogRecord, field: string, wanted: ReadonlySet<string>): boolean {
  const has = (values: Record<string, unknown> | undefined) =>
    values !== undefined && Object.hasOwn(values, field) && holds(values[field], wanted)
  return has(context) || candidates.some(({ fields, id }) => has(fields) || (field === 'id' && holds(id, wanted)))
}

function holds(value: unknown, wanted: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((one) => holds(one, wanted))
  if (typeof value === 'object' && value !== null) return holds((value as { values?: unknown }).values, wanted)
  return (typeof value === 'string' || typeof value === 'number') && wanted.has(String(value))
}

/** Writes the records that stay into another file, which then takes the place of this one. */
async function rewrite(file: LogFile, stays: (record: LogRecord) => boolean, signal: AbortSignal): Promise<void> {
  const kept = `${file.path}.kept`
  let records = 0
  async function* lines() {
    for await (const { text, record } of readRecords(file, signal)) {
      if (!stays(record)) continue
      records++
      yield `${text}\n`
    }
  }
  try {
    await pipeline(lines, createWriteStream(kept, { flags: 'wx', mode: 0o640, flush: true }))
    if (records === 0) await rm(file.path)
    else await rename(kept, file.path)
  } finally {
    await rm(kept, { force: true })
  }
}

async function expectFiles(folder: string): Promise<LogFile[]> {
  const files = await logFiles(folder)
  if (files.length === 0)
    throw new ModelError(
      'MODEL_NOT_FOUND',
      `${folder} has no files of a prediction log: is it the folder that MULTIGATE_PREDICTION_LOG names?`,
    )
  return files
}
