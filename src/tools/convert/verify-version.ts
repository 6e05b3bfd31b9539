import { dirname, join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { compareVersions } from '../../base/names.ts'
import { formatError, formatTable } from '../../base/terminal.ts'
import { manifestFile } from '../../model/serving/bundle/manifest.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { givenColumns, layoutOf } from '../../model/serving/features/layout.ts'
import { compareContracts, contractOf, formatContracts } from '../../model/serving/prediction/compare-contracts.ts'
import { findBundle, missingModel, readDescription } from '../../model/serving/version/read-version.ts'
import { versionsOnDisk } from '../evaluate/next-version.ts'
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
  /** The contracts that it breaks of the next lower version beside it; undefined where no such version can be read. */
  contracts: string | undefined
}

/**
 * Compares a version's uncalibrated answers with those in a file, or with its golden rows. Rejects with
 * MODEL_NOT_FOUND, or with INVALID_REQUEST if the file does not fit the version, or there are no such rows.
 */
export async function verifyVersion(options: {
  target: string
  models: string
  golden: string | undefined
}): Promise<Verification> {
  const { target, models } = options
  const bundle = await findBundle(target, models)
  if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', await missingModel(target, [models]))
  if (bundle.manifestless)
    throw new ModelError('INVALID_REQUEST', `${target} has no manifest: multigate init writes one and accepts --golden`)
  const { manifest, folder } = bundle
  const contracts = await compareWithFormer(bundle)
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = givenColumns(layoutOf(manifest)).map(({ offset }) => offset)
  const file = options.golden ?? join(folder, manifestFile)
  const written = options.golden === undefined ? manifest.golden : await readText(file)
  if (written === undefined)
    throw new ModelError('INVALID_REQUEST', `${file} has no golden rows: name a file of them (--golden)`)
  const golden = readGolden(written, file, { features: manifest.features, firsts, tasks })
  const answers = await placeErrors(file, () => askGraph(folder, manifest, golden.rows))
  const differences = (task: number) =>
    answers.map((row, i) => Math.abs((row[task] ?? Number.NaN) - golden.probabilities[i]![task]!))
  return {
    version: `${manifest.name}/${manifest.version}`,
    rows: golden.rows.length,
    tolerance: golden.tolerance,
    largest: tasks.map((task, t) => ({ task, difference: Math.max(...differences(t)) })),
    difference: differenceOf(golden, answers, tasks, 'the version answers'),
    contracts,
  }
}

async function compareWithFormer(bundle: Bundle): Promise<string | undefined> {
  const { name, version } = bundle.manifest
  const root = dirname(dirname(bundle.folder))
  const former = (await versionsOnDisk(root, name)).find((one) => compareVersions(one, version) < 0)
  if (former === undefined) return undefined
  const described = await readDescription(root, name, former).catch(() => undefined)
  if (described === undefined) return undefined
  const problems = compareContracts(contractOf(described), contractOf(bundle))
  return formatContracts(`${name}/${former}`, `${name}/${version}`, problems)
}

export function formatVerification({ version, rows, tolerance, largest, difference, contracts }: Verification): string {
  const table = formatTable(
    ['task', 'largest difference'],
    largest.map(({ task, difference }) => [task, formatError(difference)]),
  )
  const lines = [
    table,
    ...(contracts === undefined ? [] : [contracts]),
    ...(difference === undefined ? [`${version} gives the same answers to all ${rows} rows, within ${tolerance}`] : []),
  ]
  return lines.join('\n')
}
