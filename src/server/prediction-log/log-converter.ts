import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { reasonOf } from '../../base/errors.ts'
import { threadOptions } from '../../base/process.ts'
import { logFiles } from '../../prediction-log/log-records.ts'
import { isLeftTo } from './file-owner.ts'

export interface LogConverterOptions {
  folder: string
  instance: string
  /** The script of the thread. */
  script: URL
  /** A file could not be converted, for another reason than the last one. */
  onFailure(path: string, reason: string): void
}

/** Makes Parquet of finished files of a log, in a thread that lives as long as there are some. */
export interface LogConverter {
  /** There may be files to convert. Files that could not be are tried again, unless it is for what they contain. */
  look(): void
  /** Files that were converted, and conversions that failed. */
  readonly state: { ok: number; failed: number }
  /** Gives up the file that is being converted: the next process converts it. Idempotent. */
  close(): Promise<void>
}

/** From the thread. */
export type ConversionReport =
  /** `skipped`: another process changes the file, or has removed it. */
  | { path: string; outcome: 'begun' | 'ok' | 'skipped' }
  /** `isLasting`: for what the file contains. */
  | { path: string; outcome: 'failed'; reason: string; isLasting: boolean }

/**
 * A small young generation keeps its memory small: 70 MiB for files of 64 MiB, instead of 170. Records may have several
 * MiB; a heap that is never full costs nothing.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 512 }
/** Longest wait for the thread at the end, ms. */
const longestClose = 2000

export function createLogConverter({ folder, instance, script, onFailure }: LogConverterOptions): LogConverter {
  const state = { ok: 0, failed: 0 }
  /** Sizes of files that can't be converted for what they contain. */
  const refused = new Map<string, number>()
  let lastReason: string | undefined
  let running: Promise<void> | undefined
  let isWanted = false
  let closing: Promise<void> | undefined
  let worker: Worker | undefined

  function look(): void {
    isWanted = true
    running ??= run().finally(() => {
      running = undefined
    })
  }

  async function run(): Promise<void> {
    while (isWanted && closing === undefined) {
      isWanted = false
      const paths = await unconverted()
      if (paths.length > 0 && closing === undefined) await convert(paths)
    }
  }

  async function unconverted(): Promise<string[]> {
    // Where the folder can't be read, the thread that writes says so.
    const files = await logFiles(folder).catch(() => [])
    const paths = files.map(({ path }) => path).filter((path) => path.endsWith('.jsonl'))
    for (const path of refused.keys()) if (!paths.includes(path)) refused.delete(path)
    return paths.filter((path) => {
      const found = statSync(path, { throwIfNoEntry: false })
      return found && refused.get(path) !== found.size && isLeftTo({ instance, now: Date.now() }, path, found.mtimeMs)
    })
  }

  function convert(paths: string[]): Promise<void> {
    const started = new Worker(script, { ...threadOptions(), workerData: paths, resourceLimits })
    started.unref()
    worker = started
    let current: string | undefined
    started.on('message', (report: ConversionReport) => {
      const { path, outcome } = report
      current = outcome === 'begun' ? path : undefined
      if (outcome === 'ok') {
        state.ok++
        lastReason = undefined
      } else if (outcome === 'failed') failed(path, report.reason, report.isLasting)
    })
    let death: string | undefined
    started.on('error', (error) => {
      death = reasonOf(error)
    })
    return new Promise((resolve) => {
      const ended = () => {
        worker = undefined
        if (death !== undefined) failed(current ?? folder, death, current !== undefined)
        // The other files remain.
        if (death !== undefined && current !== undefined) isWanted = true
        resolve()
      }
      // Messages may arrive after an error, and on a busy machine perhaps with the exit.
      started.on('exit', () => setImmediate(ended))
    })
  }

  function failed(path: string, reason: string, isLasting: boolean): void {
    state.failed++
    if (isLasting) refused.set(path, statSync(path, { throwIfNoEntry: false })?.size ?? 0)
    if (reason !== lastReason) onFailure(path, reason)
    lastReason = reason
  }

  async function end(): Promise<void> {
    const timer = setTimeout(() => worker?.terminate(), longestClose)
    worker?.ref()
    worker?.postMessage('stop')
    await running
    clearTimeout(timer)
  }

  return {
    look,
    state,
    close() {
      closing ??= end()
      return closing
    },
  }
}
