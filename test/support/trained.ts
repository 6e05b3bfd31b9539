import { existsSync } from 'node:fs'
import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runTrain } from '../../src/tools/train/run-train.ts'
import { temporaryFolder } from './bundle.ts'
import { runFolder } from './run-folder.ts'
import { specs, tinyCsv, tinySpec } from './tiny.ts'

/**
 * Trains what `spec` describes, from rows beside it, into `models` of the same folder. The version has a brief report,
 * without baselines and slices.
 */
export async function trainIn(folder: string, spec: object, from?: string, threads = 1): Promise<void> {
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec))
  const write = () => true
  const code = await runTrain({
    ...{ spec: join(folder, 'spec.json'), specs, models: join(folder, 'models'), from },
    ...{ force: false, threads, run: undefined, resume: false, report: undefined, brief: true },
    ...{ cache: process.env.MULTIGATE_CACHE, command: 'multigate train', version: '0.0.0', now: () => 0 },
    ...{ signal: new AbortController().signal, out: { write }, err: { write } },
  })
  if (code !== 0) throw new Error(`training ended with ${code}`)
}

/**
 * A folder with `tiny.csv`, `spec.json` and `models/tiny/1`, which `tinySpec` gives: trained once per test run, for all
 * processes. Tests only read it.
 */
export async function trainedTiny(): Promise<string> {
  const folder = join(runFolder(), 'tiny')
  if (existsSync(folder)) return folder
  const begun = await mkdtemp(`${folder}-`)
  await writeFile(join(begun, 'tiny.csv'), tinyCsv())
  await trainIn(begun, tinySpec())
  try {
    await rename(begun, folder)
  } catch (error) {
    // Another process has trained the same weights meanwhile.
    if (!existsSync(folder)) throw error
    await rm(begun, { recursive: true })
  }
  return folder
}

/** A copy of that folder, for a test that changes it. */
export async function copyTrainedTiny(t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  await cp(await trainedTiny(), folder, { recursive: true })
  return folder
}
