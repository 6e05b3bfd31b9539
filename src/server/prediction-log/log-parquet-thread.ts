import { parentPort, workerData } from 'node:worker_threads'
import { reasonOf } from '../../base/errors.ts'
import { setThreadPriority } from '../../base/process.ts'
import { CopyInUse, copyOf, removeSilent } from '../../prediction-log/copies.ts'
import { otherPath } from '../../prediction-log/log-records.ts'
import { convertFile } from '../../prediction-log/parquet/convert-file.ts'
import type { ConversionReport } from './log-converter.ts'

/*
 * The thread that makes Parquet of finished files, one after the other, and ends.
 */

const stop = new AbortController()
parentPort!.once('message', () => stop.abort())
// Even the thread that writes the log comes first.
setThreadPriority(15)
for (const path of workerData as string[]) {
  report({ path, outcome: 'begun' })
  const outcome = await convert(path)
  if (stop.signal.aborted) break
  report(outcome)
  // The disk takes nothing: others would fail, too.
  if (outcome.outcome === 'failed' && !outcome.isLasting) break
}
parentPort!.close()

async function convert(source: string): Promise<ConversionReport> {
  try {
    await removeSilent(copyOf(source))
    const done = await convertFile({ source, target: otherPath(source), inPlace: true, signal: stop.signal })
    return { path: source, outcome: done ? 'ok' : 'skipped' }
  } catch (error) {
    if (error instanceof CopyInUse) return { path: source, outcome: 'skipped' }
    const isLasting = (error as NodeJS.ErrnoException).syscall === undefined
    return { path: source, outcome: 'failed', reason: reasonOf(error), isLasting }
  }
}

function report(message: ConversionReport): void {
  parentPort!.postMessage(message)
}
