import { ModelError } from '../model/base/errors.ts'
import { formatError, formatTable } from '../model/base/text-table.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { findBundle } from '../model/version/open-version.ts'
import { askGraph } from './ask-graph.ts'
import { differenceOf, readGolden } from './golden.ts'
import { readText } from './read-options.ts'

export interface Verification {
  version: string
  rows: number
  tolerance: number
  /** Largest difference of a probability, by task. */
  largest: { task: string; difference: number }[]
  /** The first answer that differs by more than the tolerance, in words. */
  difference: string | undefined
}

/**
 * Compares what a version's graph answers, before calibration, with answers that a file gives. Rejects with MODEL_NOT_FOUND, and
 * INVALID_REQUEST for a file that doesn't fit.
 */
export async function verifyVersion(options: {
  target: string
  models: string
  golden: string
}): Promise<Verification> {
  const { target, models, golden: file } = options
  const bundle = await findBundle(target, models)
  if (bundle === undefined)
    throw new ModelError('MODEL_NOT_FOUND', `${target} is no folder of a model or version, and no model in ${models}`)
  if (bundle.manifestless)
    throw new ModelError('INVALID_REQUEST', `${target} has no manifest: multigate init writes one, and takes --golden`)
  const { manifest, folder } = bundle
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = encoderOf(manifest).layout.sparse.map(({ offset }) => offset)
  const golden = readGolden(await readText(file), file, { features: manifest.features, firsts, tasks })
  const answers = await askGraph(folder, manifest, golden.rows)
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
  return difference === undefined ? `${table}\n${version} answers all ${rows} rows alike, within ${tolerance}` : table
}
