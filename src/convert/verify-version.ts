import { ModelError } from '../model/base/errors.ts'
import { formatError, formatTable } from '../model/base/text-table.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { missingModel } from '../model/version/missing-model.ts'
import { findBundle } from '../model/version/open-version.ts'
import { askGraph } from './ask-graph.ts'
import { differenceOf, placeErrors, readGolden } from './golden.ts'
import { readText } from './read-options.ts'

export interface Verification {
  version: string
  rows: number
  tolerance: number
  /** Per task, the largest difference of a probability. */
  largest: { task: string; difference: number }[]
  /** Describes the first answer that differs by more than the tolerance. */
  difference: string | undefined
}

/**
 * Compares a version's uncalibrated answers with those in a file. Rejects with MODEL_NOT_FOUND, or with INVALID_REQUEST if the
 * file does not fit the version.
 */
export async function verifyVersion(options: {
  target: string
  models: string
  golden: string
}): Promise<Verification> {
  const { target, models, golden: file } = options
  const bundle = await findBundle(target, models)
  if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', await missingModel(target, models))
  if (bundle.manifestless)
    throw new ModelError('INVALID_REQUEST', `${target} has no manifest: multigate init writes one and accepts --golden`)
  const { manifest, folder } = bundle
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = encoderOf(manifest).layout.sparse.map(({ offset }) => offset)
  const golden = readGolden(await readText(file), file, { features: manifest.features, firsts, tasks })
  const answers = await placeErrors(file, () => askGraph(folder, manifest, golden.rows))
  const differences = (task: number) =>
    answers.map((row, i) => Math.abs((row[task] ?? Number.NaN) - golden.probabilities[i]![task]!))
  return {
    version: `${manifest.name}/${manifest.version}`,
    rows: golden.rows.length,
    tolerance: golden.tolerance,
    largest: tasks.map((task, t) => ({ task, difference: Math.max(...differences(t)) })),
    difference: differenceOf(golden, answers, tasks, 'the version answers'),
  }
}

export function formatVerification({ version, rows, tolerance, largest, difference }: Verification): string {
  const table = formatTable(
    ['task', 'largest difference'],
    largest.map(({ task, difference }) => [task, formatError(difference)]),
  )
  return difference === undefined
    ? `${table}\n${version} gives the same answers to all ${rows} rows, within ${tolerance}`
    : table
}
