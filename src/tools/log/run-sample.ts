import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { RunContext } from '../../base/command.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, grouped } from '../../base/terminal.ts'
import { readRecords } from '../../prediction-log/log-records.ts'
import { jsonText } from '../../prediction-log/parquet/json-text.ts'
import { sampleHash } from '../../prediction-log/sampling.ts'
import { openFullLog } from '../data/open-log.ts'

interface Sample extends RunContext {
  /** A folder or an address. */
  log: string
  rate: number
  file: string
}

/** `multigate log sample`: the records that a server with a smaller share would have recorded. */
export async function runSample({ log, rate, file, out, err, signal }: Sample): Promise<void> {
  const { files } = await openFullLog(log)
  const progress = createProgress(err)
  let [kept, all] = [0, 0]
  async function* lines() {
    for (const one of files)
      for await (const { record } of readRecords(one, signal)) {
        progress.rows('reading', ++all, undefined)
        const sample_rate = record.sample_rate * rate
        // Those that were recorded have the smallest hashes already.
        if (sampleHash(record.trace_id, record.request_id) >= sample_rate) continue
        kept++
        yield `${jsonText({ ...record, sample_rate })}\n`
      }
  }
  let isCreated = false
  try {
    const output = createWriteStream(file, { flags: 'wx', mode: 0o640, flush: true })
    output.once('open', () => {
      isCreated = true
    })
    await pipeline(lines, output)
  } catch (error) {
    if (isCreated) await rm(file, { force: true })
    if ((error as NodeJS.ErrnoException).code === undefined || error instanceof ModelError) throw error
    throw new ModelError('INVALID_REQUEST', `${file} can't be written: ${reasonOf(error)}`)
  } finally {
    progress.stop()
  }
  out.write(`${grouped(kept)} of ${counted(all, 'record')} kept\n`)
}
