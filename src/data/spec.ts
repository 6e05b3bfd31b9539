import type { Violation } from '../model/base/errors.ts'
import type { RowsSpec } from '../schemas/rows-spec.ts'
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

/** What a spec says of its rows. */
export interface LoadedRows {
  file: string
  spec: RowsSpec
  /** The version that the spec trains; undefined if it describes rows alone. */
  trains: { name: string; version: string } | undefined
}
