import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../base/errors.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import { createOnnxEngine } from '../../model/engines/onnx/onnx.ts'
import type { ModelShape } from '../../model/graph/architectures/layers.ts'
import { evaluationFiles } from '../../model/serving/bundle/evaluation.ts'
import { encodeQuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { writeBundle } from '../../model/serving/bundle/write.ts'
import { createLayout, type Layout, ownIdsOf } from '../../model/serving/features/layout.ts'
import { bindingsOf, namedInputs } from '../../model/serving/prediction/bindings.ts'
import { servedOf } from '../../model/serving/prediction/served.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { Field } from '../../schemas/features.ts'
import type { DerivedTask, GoldenRows, Manifest, Quantization, Task } from '../../schemas/manifest.ts'
import type { Provenance } from '../../schemas/provenance.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'
import { columnProblems, type Dataset } from '../data/dataset.ts'
import { describeData, measureDistributions } from '../data/distributions.ts'
import { type PackedRows, unpackRows, unpackStrips } from '../data/packed-rows.ts'
import { chooseQuantizationRows, quantizationFile } from '../data/quantization-rows.ts'
import { type LoadedSpec, SpecError } from '../data/source.ts'
import { tableWarnings } from '../evaluate/describe-table.ts'
import { judgeNewVersion } from '../evaluate/judge-new-version.ts'
import { qualityOf } from '../evaluate/publish.ts'
import { binEdges } from './bin-edges.ts'
import { calibrateTasks } from './calibrate-tasks.ts'
import { columnGroups, ownTables } from './column-groups.ts'
import { type EncodedParts, encodeDataset, expectSelectable, warnOfOneClass } from './encode-dataset.ts'
import { fieldsOf } from './fields.ts'
import type { FitResult } from './fit.ts'
import { fitNetwork } from './fit-network.ts'
import type { Network, Saved } from './network/network.ts'
import { expectStart, startNetwork } from './network/start.ts'
import { readingOptions, readRows } from './read-rows.ts'
import { startLogits } from './start-logits.ts'
import { expectTableMemory } from './table-memory.ts'
import type { TrainOptions } from './train-options.ts'

/**
 * Trains a model version from a spec, judges it on the test rows as it will be served, and writes it, unless it fails
 * the spec's conditions of publishing: then `folder` is undefined. The same spec, data, machine and number of threads
 * give the same weights, bit for bit.
 *
 * Rejects with a SpecError for an invalid spec or data that does not fit it, with UNSUPPORTED_GRAPH for a network that
 * can't be trained, and with the signal's reason when aborted.
 */
export async function train(
  loaded: LoadedSpec,
  options: TrainOptions,
): Promise<{ folder: string | undefined; report: EvaluationReport; fitted: FitResult }> {
  const { spec, file } = loaded
  const { from, run, now, signal, log } = options
  const folder = join(options.models, spec.name, String(spec.version))
  if (existsSync(folder) && !options.force) {
    const exists = { path: '/version', message: `${folder} exists already; --force replaces it` }
    throw new SpecError(file, [exists, ...(await columnProblems(loaded, ...readingOptions(loaded, options)))])
  }

  expectStart(loaded, from)
  if (spec.publish?.bfloat16) await expectBfloat16(file)
  const started = now()
  const dataset = options.dataset ? { ...options.dataset } : await readRows(loaded, options)
  const fields = fieldsOf(loaded, dataset, from)
  const ownIds = from ? ownIdsOf(from.manifest) : spec.embeddings !== undefined
  const columns = { crossed: spec.crossed, ownIds }
  const layout = createLayout(fields, columns)
  if (from === undefined) expectTableMemory(loaded, layout)
  const examples = encodeDataset(file, fields, dataset, columns, options.dataset !== undefined)
  const rows = {
    train: dataset.parts.train.length,
    validation: dataset.parts.validation.length,
    test: dataset.parts.test.length,
  }
  log(
    `${spec.name}: ${rows.train} rows to train, ${rows.validation} to validate, ${rows.test} to test, read in ${seconds(now() - started)}`,
  )
  for (const warning of tableWarnings(dataset.tables)) log(`warning: ${warning}`)
  warnOfOneClass(spec, examples.train, log)
  expectSelectable(loaded, examples.validation)

  const network = await startNetwork(loaded, shapeOf(loaded, layout, examples, from), from)
  const threads = threadsFor(options.threads, Math.min(rows.train, spec.training.batch_size), log)
  log(
    `${network.title} with ${network.size} weights to train, on ${threads === 1 ? 'one thread' : `${threads} threads`}`,
  )
  const { fitted, logits, valuesOf } = await fitNetwork(loaded, network, examples, layout, { ...options, threads })
  log(`fitted in ${seconds(now() - started)}`)

  const calibrated = calibrateTasks(spec, examples.validation, logits, log, from?.manifest)
  const chosen = chooseQuantizationRows(examples.validation)
  const quantization = { file: quantizationFile, rows: chosen.rows, labels: true }
  const saved = await network.save(valuesOf)
  const files = { ...saved.files, [quantizationFile]: encodeQuantizationRows(chosen) }
  signal.throwIfAborted()
  const names = fields.map(({ name }) => name)
  const golden = await goldenRows(saved, fields, dataset, examples.test.encoded)
  const described = describeBundle(spec, fields, network, saved.graph, calibrated, quantization, golden, {
    created: new Date(now()).toISOString(),
    command: options.command,
    data: describeData(spec.data),
    seed: spec.training.seed,
    epochs: fitted.epochs,
    kept: fitted.kept,
    history: fitted.history,
    rows,
    field_options: fieldOptionsOf(spec, from),
    tasks: taskOptionsOf(spec),
    ...sequencesOf(spec, from),
    ...(dataset.tables && { feature_tables: dataset.tables }),
    ...(from && { from: `${from.manifest.name}/${from.manifest.version}` }),
    threads,
    engine: 'onnxruntime',
    multigate: options.multigateVersion,
  })
  const judged = await judgeNewVersion({ manifest: described, files }, loaded, dataset, { ...options, fields: names })
  const { report, scored } = judged
  if (report.publish?.passed !== false) {
    signal.throwIfAborted()
    const drift = measureDistributions(layout, unpackStrips(examples.test.encoded), scored.predictions)
    const manifest = { ...described, quality: qualityOf(report), drift }
    await writeBundle(folder, { manifest, files: { ...files, ...evaluationFiles(report) } }, { replace: options.force })
  }
  await run?.remove()
  return { folder: report.publish?.passed === false ? undefined : folder, report, fitted }
}

/** A condition that this machine can't check would be found only after the training. Rejects with a SpecError. */
async function expectBfloat16(file: string): Promise<void> {
  const { openFastLibrary } = await import('../../model/graph/onednn/library.ts')
  try {
    openFastLibrary('bfloat16')
  } catch (error) {
    const message = `can't be checked on this machine: ${reasonOf(error)}`
    throw new SpecError(file, [{ path: '/publish/bfloat16', message }])
  }
}

/** At most as many threads as have two rows of a step each: one row has no variance. */
function threadsFor(wanted: number, stepRows: number, log: (line: string) => void): number {
  const most = Math.max(1, Math.floor(stepRows / 2))
  if (wanted > most) log(`steps of ${stepRows} rows are divided among ${most} threads at most`)
  return Math.min(wanted, most)
}

function shapeOf(
  { spec, file }: LoadedSpec,
  layout: Layout,
  { train: rows }: EncodedParts,
  from: Bundle | undefined,
): ModelShape {
  const { sparse, dense, ids } = layout
  return {
    sparseFields: sparse.length,
    denseFields: dense.length,
    ids,
    sides: { sparse: sparse.map(({ field }) => field.side), dense: dense.map(({ field }) => field.side) },
    tasks: spec.tasks.map(({ name }) => name),
    tables: spec.embeddings && spec.architecture && ownTables(spec.embeddings, spec.architecture, layout),
    groups: from ? undefined : columnGroups(spec, layout),
    // A version that training goes on from has its own.
    bins: from ? undefined : binEdges(file, spec.fields, rows),
    startLogits: startLogits(spec.tasks, rows),
    seed: spec.training.seed,
  }
}

type FieldOptions = NonNullable<Provenance['field_options']>

/** By field, its options in the network, which are those of the version that training goes on from, and its column. */
function fieldOptionsOf(
  { fields, crossed, embeddings = {}, poolings = {} }: TrainSpec,
  from: Bundle | undefined,
): FieldOptions {
  const kept = from?.manifest.provenance?.field_options ?? {}
  const options = [...fields, ...crossed].map((field) => {
    const { column, expression, ...rest } = field as FieldOptions[string]
    const { bins, dim, pooling = poolings[field.name] } = rest
    const network = from ? kept[field.name] : { dim, bins, pooling, ...embeddings[field.name] }
    const given = Object.entries({ ...network, column, expression, ...readingOf(field) }).filter(
      ([, value]) => value !== undefined,
    )
    return [field.name, Object.fromEntries(given)] as const
  })
  return Object.fromEntries(options.filter(([, given]) => Object.keys(given).length > 0))
}

/** How a field's values are read, where that is not by its column alone. */
function readingOf(field: TrainSpec['fields'][number] | TrainSpec['crossed'][number]): FieldOptions[string] {
  const { list, weights } = field as { list?: { separator?: string }; weights?: string }
  return { separator: list?.separator, weights } as FieldOptions[string]
}

/** How the network reads sequences, as in the version that training goes on from, and what histories are made of. */
function sequencesOf(spec: TrainSpec, from: Bundle | undefined): Pick<Provenance, 'sequences' | 'history_of'> {
  const { sequences } = from ? (from.manifest.provenance ?? {}) : spec
  const { history } = spec
  return { ...(sequences && { sequences }), ...(history && { history_of: history }) }
}

/** Options of each task, which a spec that goes on from this version may leave out. */
function taskOptionsOf({ tasks, derived }: TrainSpec): Record<string, Record<string, unknown>> {
  const options = tasks.map(({ name, description: _, ...rest }) => [name, rest] as const)
  const calibrations = derived.flatMap(({ name, calibration }) =>
    calibration === undefined ? [] : [[name, { calibration }] as const],
  )
  return Object.fromEntries([...options, ...calibrations])
}

function describeBundle(
  spec: TrainSpec,
  features: Field[],
  { architecture }: Network,
  graph: Manifest['graph'],
  { tasks, derived }: { tasks: Task[]; derived: DerivedTask[] },
  quantization: Quantization,
  golden: GoldenRows,
  provenance: Provenance,
): Omit<Manifest, 'files'> {
  return {
    manifest: 1,
    name: spec.name,
    version: String(spec.version),
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...(architecture && { architecture }),
    features,
    ...(spec.crossed.length > 0 && { crossed: spec.crossed }),
    ...(spec.entities && { entities: spec.entities }),
    ...{ tasks, derived, graph, precision: spec.precision, quantization },
    ...(spec.keep_precision !== undefined && { keep_precision: spec.keep_precision }),
    ...(spec.tables && { tables: spec.tables }),
    golden: { ...golden, served: servedOf({ tasks, derived }, golden.probabilities) },
    provenance,
  }
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`

/** Number of test rows in the manifest, with their answers. */
const goldenRowCount = 8

/**
 * A few evenly spread test rows, with the answers of the saved graph after reopening it. `names` are the cells' fields.
 */
export async function goldenRows(
  { graph, files }: Saved,
  features: readonly Field[],
  { cells, parts }: Dataset,
  test: PackedRows,
): Promise<GoldenRows> {
  const count = Math.min(goldenRowCount, test.rows)
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * test.rows) / count))
  const folder = await makeTemporaryFolder('golden')
  try {
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes)
    const takes = { graph, features: [...features] }
    const names = features.map(({ name }) => name)
    const { probabilities: output, joined } = bindingsOf(takes)
    const { file, format } = graph
    const engine = await createOnnxEngine({ threads: 1 })
    const loaded = await engine.load({ folder, file, format, outputs: [output], ...(joined && { joined }) })
    const probabilities: number[][] = []
    for (const i of picked) {
      const { sparse, dense } = unpackRows(test, [i])
      const inputs = namedInputs(takes, sparse, dense)
      probabilities.push(Array.from((await loaded.run({ rows: 1, inputs }, [output]))[output]!))
    }
    await loaded.close()
    return {
      rows: picked.map((i) => Object.fromEntries(names.map((name, field) => [name, cells[field]!.at(parts.test[i]!)]))),
      probabilities,
      tolerance: 1e-5,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
