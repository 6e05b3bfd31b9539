import { showProgress, type Terminal } from '../../base/terminal.ts'
import { layoutOf } from '../../model/serving/features/layout.ts'
import { isDense } from '../../schemas/features.ts'
import { type ExportOptions, type ExportResult, exportModel } from './export-model.ts'
import { type ImportOptions, type ImportResult, importModel } from './import-model.ts'

interface Terminals {
  /** Results. */
  out: Terminal
  /** Progress and notes. */
  err: Terminal
}

/** `multigate import`: writes the version and prints a summary. */
export async function runImport({ out, err, ...options }: Omit<ImportOptions, 'progress'> & Terminals): Promise<void> {
  const progress = showProgress(err)
  try {
    const result = await importModel({ ...options, progress })
    progress('')
    out.write(`${formatImport(result).join('\n')}\n`)
    if (result.unchecked.length > 0) err.write(`${formatUnchecked(result, options).join('\n')}\n`)
  } finally {
    progress('')
  }
}

/** `multigate export`: writes the file or folder and prints its inputs. */
export async function runExport({
  stdout,
  stderr,
  ...options
}: Omit<ExportOptions, 'progress'> & { stdout: Terminal; stderr: Terminal }): Promise<void> {
  const progress = showProgress(stderr)
  try {
    const result = await exportModel({ ...options, progress })
    progress('')
    stdout.write(`${formatExport(result, options).join('\n')}\n`)
  } finally {
    progress('')
  }
}

function formatExport(
  { out, manifest, checked, ids }: ExportResult,
  { to, keras }: Pick<ExportOptions, 'to' | 'keras'>,
): string[] {
  const { name, version, tasks, architecture } = manifest
  const { slots, crossed } = layoutOf(manifest)
  const [sparse, dense] = [true, false].map((sparse) => slots.filter((slot) => slot.sparse === sparse).length)
  const inputs = [
    ...(sparse! + crossed.length > 0 ? [`${sparse! + crossed.length} sparse fields`] : []),
    ...(dense! > 0 ? [`${dense} numeric fields`] : []),
  ]
  const columns = `${name}/${version}: ${inputs.join(', ')}; tasks ${tasks.map(({ name }) => name).join(', ')}`
  const args = Object.entries({ ...architecture, num_tasks: tasks.length, num_emb: ids })
    .filter(([key]) => key !== 'name')
    .map(([key, value]) => `${key}=${value}`)
  return [
    columns,
    ...(to === 'keras-weights'
      ? [`for the ${architecture?.name} class on Keras ${keras}, created with ${args.join(', ')}`]
      : []),
    `${checked} golden rows answered`,
    `written to ${out}`,
  ]
}

/** Printed last and set apart: a version that looks right may answer every row wrongly. */
function formatUnchecked(
  { unchecked, manifest }: ImportResult,
  { path, models }: Pick<ImportOptions, 'path' | 'models'>,
): string[] {
  const { name, version } = manifest
  const target = models === 'models' ? name : `${name} --models ${models}`
  const stated = unchecked.flatMap(({ option }) => (option === undefined ? [] : [`${option}=…`]))
  return [
    '',
    `WARNING: nothing has compared ${name}/${version} with the trained model.`,
    `${path} contains the weights of a class, not its code. The file does not state these assumptions:`,
    ...unchecked.map(({ text }) => `  ${text}`),
    'If one of them is wrong, the version serves wrong probabilities, and no other check notices.',
    `To check it, save some rows with Keras' answers (docs/import-export.md, "Golden rows"), then run`,
    `  multigate verify ${target} --golden answers.json`,
    `or import again with --golden answers.json, which also checks them at every load${stated.length > 0 ? `; --architecture ${stated.join(',')} replaces an assumption` : ''}.`,
  ]
}

function formatImport({ folder, description, manifest, goldenFrom, notes, engine, plan }: ImportResult): string[] {
  const { features, tasks, golden } = manifest
  const numeric = features.filter(isDense).length
  const rows = golden?.rows.length ?? 0
  const compiled = plan.compiled ? ', compiled' : ''
  return [
    description,
    `${features.length - numeric} sparse and ${numeric} numeric fields; tasks ${tasks.map(({ name }) => name).join(', ')}`,
    goldenFrom === undefined
      ? `${rows} random rows: the graph on ${engine}${compiled} agrees with a float64 computation within ${golden?.tolerance}; Keras was not asked`
      : `${rows} golden rows of ${goldenFrom}, answered within ${golden?.tolerance} on ${engine}${compiled}`,
    ...[...notes, ...plan.notes].map((note) => `note: ${note}`),
    `written to ${folder}`,
  ]
}
