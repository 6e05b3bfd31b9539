import { stat } from 'node:fs/promises'
import type { RunContext } from '../../base/command.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import { finishedPath, type LogFile } from '../../prediction-log/log-records.ts'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { openFullLog } from '../data/open-log.ts'
import { readLog } from './damaged-files.ts'

interface Run extends RunContext {
  /** A folder or an address. */
  log: string
  /** Does without the rest of damaged files. */
  skipDamaged: boolean
}

/** Bytes of a file, 0 of one that has been removed. */
async function bytesOf(file: LogFile): Promise<number> {
  if (file.bytes !== undefined) return file.bytes
  const found = await stat(file.path).catch(() => stat(finishedPath(file)).catch(() => undefined))
  return found?.size ?? 0
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
export async function runStats(options: Run & { json: boolean }): Promise<void> {
  const { log, json, out, err } = options
  const { files } = await openFullLog(log)
  const versions = new Map<string, VersionStats>()
  const progress = createProgress(err)
  let bytes = 0
  let read = 0
  try {
    for (const file of files) {
      bytes += await bytesOf(file)
      for await (const { record } of readLog(file, options)) {
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
export async function runTail(options: Run & { rows: number }): Promise<void> {
  const { log, rows, out } = options
  const last: { text: string; time: string }[] = []
  // A file that began later may end earlier: of each version one is open.
  for (const file of (await openFullLog(log)).files.reverse()) {
    if (last.length >= rows && latestOf(file) < last[0]!.time) break
    for await (const { text, record } of readLog(file, options)) {
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
