import type { LayoutOptions } from '../../model/serving/features/layout.ts'
import type { Field } from '../../schemas/features.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'
import type { Dataset } from '../data/dataset.ts'
import { encodeParts } from '../data/encode-rows.ts'
import { type LoadedSpec, RowProblems, SpecError } from '../data/source.ts'
import { rowsToFit } from '../evaluate/baselines.ts'
import { repeatedRows } from '../evaluate/task-rows.ts'
import { createSelection, validate } from './selection.ts'
import type { Examples } from './terms.ts'

export interface EncodedParts {
  train: Examples
  validation: Examples
  test: Examples
}

/**
 * Encodes the rows of each part, and lets go of the cells that judging does not need, unless `stays`. Throws a
 * SpecError that lists cells which a request could not contain either.
 */
export function encodeDataset(
  file: string,
  fields: readonly Field[],
  dataset: Dataset,
  options: LayoutOptions,
  stays: boolean,
): EncodedParts {
  const { labels, weights, parts } = dataset
  dataset.repeatedTests = repeatedRows(dataset, parts.test)
  const found = new RowProblems()
  const kept = stays ? undefined : [parts.test, rowsToFit(parts.train)]
  const encoded = encodeParts(fields, dataset, kept, { ...options, problems: found })
  const listed = found.list()
  if (listed.length > 0) throw new SpecError(file, listed)
  const examplesOf = (part: keyof EncodedParts): Examples => ({
    encoded: encoded[part],
    labels: labels.map((values) => pick(values, parts[part], new Int8Array(parts[part].length))),
    weights: weights && pick(weights, parts[part], new Float32Array(parts[part].length)),
  })
  return { train: examplesOf('train'), validation: examplesOf('validation'), test: examplesOf('test') }
}

/** Fills `target` with the values of the rows. */
function pick<T extends Int8Array | Float32Array>(values: ArrayLike<number>, rows: Int32Array, target: T): T {
  for (let i = 0; i < rows.length; i++) target[i] = values[rows[i]!]!
  return target
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
