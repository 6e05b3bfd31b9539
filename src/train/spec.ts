import type { Violation } from '../model/base/errors.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'

/** An invalid spec, or data that does not fit it: lists every problem with its place. */
export class SpecError extends Error {
  readonly file: string
  readonly problems: Violation[]

  constructor(file: string, problems: Violation[]) {
    super(
      [`${file}:`, ...problems.map(({ path, message }) => `  ${path === '' ? '' : `${path} `}${message}`)].join('\n'),
    )
    this.name = 'SpecError'
    this.file = file
    this.problems = problems
  }
}

export interface LoadedSpec {
  /** Path of the spec's file; paths inside the spec are relative to its folder. */
  file: string
  spec: TrainSpec
}
