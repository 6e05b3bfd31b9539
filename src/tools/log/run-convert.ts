import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { RunContext } from '../../base/command.ts'
import { createProgress } from '../../base/progress.ts'
import { counted } from '../../base/terminal.ts'
import { expectFiles, otherPath } from '../../prediction-log/log-records.ts'
import { convertFile } from '../../prediction-log/parquet/convert-file.ts'
import { DamagedFiles } from './damaged-files.ts'

export interface ConvertFlags {
  folder: string
  /** Undefined: files take the places of those that they are made of. */
  to?: string
  format: 'parquet' | 'jsonl'
  skipDamaged: boolean
}

/**
 * `multigate log convert`: writes finished files as Parquet, or as lines of JSON again; another folder gets copies of
 * files that have this format. Damaged files are named, and stay unchanged; answers whether there are none.
 */
export async function runConvert(options: RunContext & ConvertFlags): Promise<boolean> {
  const { folder, to, format, skipDamaged, out, err, signal } = options
  const has = (path: string) => path.endsWith(`.${format}`)
  const files = (await expectFiles(folder)).filter(({ isOpen, path }) => !isOpen && (to !== undefined || !has(path)))
  const progress = createProgress(err)
  const damaged = new DamagedFiles()
  let [records, skipped, converted, copied] = [0, 0, 0, 0]
  async function convert(path: string) {
    const beside = has(path) ? path : otherPath(path)
    const target = to === undefined ? beside : join(to, relative(path === folder ? dirname(path) : folder, beside))
    const done = await convertFile({ source: path, target, inPlace: to === undefined, skipDamaged, signal })
    if (done === undefined) return
    if (to !== undefined) await copyManifests(dirname(path), dirname(target))
    if (done.records === undefined) copied++
    else converted++
    records += done.records ?? 0
    skipped += done.skipped
  }
  try {
    for (const [i, { path }] of files.entries()) {
      progress.rows('converting files', i, files.length)
      await damaged.spare(() => convert(path))
    }
  } finally {
    progress.stop()
  }
  out.write(`${counted(records, 'record')} of ${counted(converted, 'file')} converted\n`)
  if (copied > 0) out.write(`${counted(copied, 'file')} copied that had the format\n`)
  if (skipped > 0) out.write(`${counted(skipped, 'damaged line')} left out\n`)
  return damaged.report(err, 'not converted')
}

async function copyManifests(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from))
    if (/^manifest-[0-9a-f]+\.json$/.test(name)) await copyFile(join(from, name), join(to, name))
}
