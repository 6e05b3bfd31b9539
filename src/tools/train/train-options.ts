import type { Progress } from '../../base/progress.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import type { Dataset } from '../data/dataset.ts'
import type { FitObserver } from './fit.ts'
import type { RunFolder } from './run-folder.ts'

export interface TrainOptions {
  /** Folder of models; the version goes to `<models>/<name>/<version>`. */
  models: string
  /** Replace a version that is there already. */
  force: boolean
  /** Threads; the weights depend on their number. */
  threads: number
  /** The version to go on from; undefined: initial weights. */
  from: Bundle | undefined
  /** Where an interrupted run can go on; undefined: nowhere. */
  run: RunFolder | undefined
  /** Go on with the run in `run`. */
  resume: boolean
  /** For the manifest's provenance. */
  command: string
  multigateVersion: string
  /** Milliseconds since 1970. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
  /** The progress of all but the epochs. */
  progress?: Progress | undefined
  /** Folder of compiled plans, for judging the version. */
  cache: string | undefined
  /** Judge by metrics and their intervals alone: no baselines, slices or distributions. */
  brief?: boolean
  /** The spec's rows, read before; they stay for other trainings. */
  dataset?: Dataset
  log(line: string): void
}
