import type { Dataset } from '../data/dataset.ts'
import { encodeRows } from '../data/encode-rows.ts'
import { RowProblems } from '../data/row-problems.ts'
import { type LoadedSpec, SpecError } from '../data/spec.ts'
import type { Field } from '../schemas/features.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Examples } from './examples.ts'
import { createSelection, validate } from './selection.ts'

export interface EncodedParts {
  train: Examples
  validation: Examples
  test: Examples
}

/** Encodes the rows of each part. Throws a SpecError that lists cells which a request could not contain either. */
export function encodeDataset(
  file: string,
  fields: readonly Field[],
  { cells, labels, weights, parts, place }: Dataset,
  ownIds: boolean,
): EncodedParts {
  const found = new RowProblems()
  const encode = (rows: Int32Array): Examples => {
    const { encoded } = encodeRows(fields, cells, rows, place, { problems: found, ownIds })
    return {
      encoded,
      labels: labels.map((values) => Int8Array.from(rows, (row) => values[row]!)),
      weights: weights && Float32Array.from(rows, (row) => weights[row]!),
    }
  }
  const examples = { train: encode(parts.train), validation: encode(parts.validation), test: encode(parts.test) }
  const listed = found.list()
  if (listed.length > 0) throw new SpecError(file, listed)
  return examples
}

/** A task with a single class teaches the network at most a constant: its label or `where` is probably wrong. */
export function warnOfOneClass(spec: TrainSpec, { labels }: Examples, log: (line: string) => void): void {
  spec.tasks.forEach(({ name }, task) => {
    const inside = labels[task]!.filter((label) => label >= 0)
    if (inside.includes(0) && inside.includes(1)) return
    const what =
      inside.length === 0
        ? 'its sample space has no training rows'
        : `all ${inside.length} training rows in its sample space have the label ${inside[0]}`
    log(`warning: task ${name} has nothing to learn: ${what}; check its label and where`)
  })
}

/** A metric can't compare epochs if the validation rows of its task have a single class. */
export function expectSelectable({ file, spec }: LoadedSpec, validation: Examples): void {
  const { tasks, training } = spec
  const selection = createSelection(
    training.select,
    tasks.map(({ name }) => name),
  )
  const anything = validate(validation, tasks, new Float32Array(validation.encoded.rows * tasks.length))
  if (!Number.isNaN(selection.value(anything))) return
  const message = `${selection.metric} is undefined: the validation rows in the task's sample space have fewer than two classes`
  throw new SpecError(file, [{ path: '/training/select', message }])
}
