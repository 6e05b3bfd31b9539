import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { RunContext } from '../../base/command.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { createProgress } from '../../base/progress.ts'
import { counted, grouped } from '../../base/terminal.ts'
import { jsonText } from '../../prediction-log/json-text.ts'
import { sampled } from '../../prediction-log/sampling.ts'
import { openFullLog } from '../data/open-log.ts'
import { readLog } from './damaged-files.ts'

interface Sample extends RunContext {
  /** A folder or an address. */
  log: string
  rate: number
  file: string
  /** Does without the rest of damaged files. */
  skipDamaged: boolean
}

/** `multigate log sample`: the records that a server with a smaller share would have recorded. */
export async function runSample(options: Sample): Promise<void> {
  const { log, rate, file, out, err } = options
  if (!file.endsWith('.jsonl')) throw new ModelError('INVALID_REQUEST', `--out ${file} must end in .jsonl`)
  const { files } = await openFullLog(log)
  const progress = createProgress(err)
  let [kept, all] = [0, 0]
  async function* lines() {
    for (const one of files)
      for await (const { record } of readLog(one, options)) {
        progress.rows('reading', ++all, undefined)
        const own = sampled(record, rate)
        if (own === undefined) continue
        kept++
        yield `${jsonText(own)}\n`
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
