import type { Progress } from '../../base/progress.ts'
import type { LoadedRows } from '../data/source.ts'

/** Which rows are judged. */
export type PartName = 'all' | 'train' | 'validation' | 'test'

/** Input that all versions of a command share. */
export interface JudgeContext {
  loaded: Pick<LoadedRows, 'file' | 'spec'>
  part: PartName
  /** Seed of the bootstrap. */
  seed: number
  /** For the report: how it was made. */
  command: string
  multigateVersion: string
  /** Milliseconds since 1970. */
  now(): number
  signal: AbortSignal
  progress?: Progress | undefined
}
