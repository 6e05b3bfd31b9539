import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { realpath, rename, rm, stat } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Dataset } from '../data/dataset.ts'
import { ModelError } from '../model/base/errors.ts'
import { fileReason } from '../model/base/regular-file.ts'
import type { Evaluation } from './evaluate.ts'

/**
 * Writes one line per task and judged row, as CSV: task, row (from 1, in the data), group, label, weight, prediction. A name that
 * ends with `.gz` is compressed. The file appears whole or not at all. Rejects with INVALID_REQUEST if it can't be written.
 */
export async function writePredictions(path: string, { tasks, rows }: Evaluation, dataset: Dataset): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const there = await stat(target).catch(() => undefined)
  // A device or a pipe is written to; a file is replaced.
  const partial = there === undefined || there.isFile() ? `${target}.${process.pid}.partial` : undefined
  try {
    const file = createWriteStream(partial ?? target)
    const out = path.endsWith('.gz') ? createGzip() : file
    if (out !== file) out.pipe(file)
    const done = finished(file)
    done.catch(() => undefined)
    const write = async (text: string) => {
      if (!out.write(text)) await Promise.race([once(out, 'drain'), done])
    }
    await write('task,row,group,label,weight,prediction\n')
    for (const { name, positions, labels, weights, predictions } of tasks)
      for (let i = 0; i < positions.length; i++) {
        const row = rows[positions[i]!]!
        const group = dataset.groups?.at(row) ?? ''
        await write(`${name},${row + 1},${quoted(group)},${labels[i]},${weights?.[i] ?? 1},${predictions[i]}\n`)
      }
    out.end()
    await done
    if (partial) await rename(partial, target)
  } catch (cause) {
    if (partial) await rm(partial, { force: true })
    throw new ModelError('INVALID_REQUEST', `${path} can't be written: ${fileReason(cause)}`, { cause })
  }
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
