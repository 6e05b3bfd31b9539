import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSpec } from '../../src/tools/data/read-spec.ts'
import type { FitObserver } from '../../src/tools/train/fit.ts'
import { train } from '../../src/tools/train/train.ts'
import type { TrainOptions } from '../../src/tools/train/train-options.ts'
import { specs, tinyCsv, tinySpec } from './tiny.ts'

const silent: FitObserver = { step() {}, epoch() {} }

/**
 * Trains `tinySpec`, changed. With a brief report, which has no baselines and slices, unless `options` say otherwise.
 */
export async function trainTiny(
  folder: string,
  changes: object = {},
  options: Partial<TrainOptions> = {},
  rows?: number,
) {
  await writeFile(join(folder, 'tiny.csv'), tinyCsv(rows))
  await writeFile(join(folder, 'spec.yaml'), JSON.stringify({ ...tinySpec(), ...changes }))
  return train(await readSpec(join(folder, 'spec.yaml'), specs), {
    threads: 1,
    from: undefined,
    run: undefined,
    resume: false,
    models: join(folder, 'models'),
    force: false,
    command: 'multigate train tiny',
    multigateVersion: '0.0.0',
    now: () => 0,
    signal: new AbortController().signal,
    observer: silent,
    brief: true,
    // Some trainings give the same weights.
    cache: process.env.MULTIGATE_CACHE,
    log() {},
    ...options,
  })
}
