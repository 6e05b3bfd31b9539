import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { buildArchitecture } from '../model/architectures/build.ts'
import { graphOutputs } from '../model/architectures/outputs.ts'
import { encodeQuantizationRows } from '../model/bundle/quantization.ts'
import { writeBundle } from '../model/bundle/write.ts'
import { createCalibrator, sigmoid } from '../model/calibration/calibrator.ts'
import type { TensorFlow } from '../model/engines/tensorflow/tensorflow-backend.ts'
import { layersModelFile, layersModelFiles, openLayersModel } from '../model/engines/tensorflow/write-layers-model.ts'
import { idsOf } from '../model/features/field.ts'
import { servedOf } from '../model/prediction/served.ts'
import type { Field } from '../schemas/features.ts'
import type { DriftReference, GoldenRows, Manifest, Quantization, Task } from '../schemas/manifest.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Examples } from './batches.ts'
import { fitPlatt } from './calibrate.ts'
import { columnProblems, type Dataset, readDataset } from './dataset.ts'
import { measureDistributions } from './distributions.ts'
import { type EncodedRows, encodeRows, fitFields } from './fields.ts'
import { type FitObserver, type FitResult, fit } from './fit.ts'
import { createNetwork, type Network } from './network.ts'
import { chooseQuantizationRows, quantizationFile } from './quantization.ts'
import { createRandom } from './random.ts'
import { multiply, type Predictions, reportQuality, type TaskReport } from './report.ts'
import { RowProblems } from './row-problems.ts'
import { createSelection, insideSampleSpace, validate } from './selection.ts'
import { type LoadedSpec, SpecError } from './spec.ts'

/** Number of test rows in the manifest, with their answers. */
const goldenRowCount = 8

export interface TrainOptions {
  tensorflow: TensorFlow
  /** Folder of models; the version goes to `<models>/<name>/<version>`. */
  models: string
  /** Replace a version that is there already. */
  force: boolean
  /** For the manifest's provenance. */
  command: string
  multigateVersion: string
  /** Milliseconds since 1970. */
  now: () => number
  signal: AbortSignal
  observer: FitObserver
  log(line: string): void
}

/**
 * Trains a model version from a spec and writes it at the end. Returns its quality on the test rows. The same spec, data and
 * machine give the same weights, bit for bit.
 *
 * Rejects with a SpecError for an invalid spec or data that does not fit it, and with the signal's reason when aborted.
 */
export async function train(
  loaded: LoadedSpec,
  options: TrainOptions,
): Promise<{ folder: string; reports: TaskReport[]; fitted: FitResult }> {
  const { spec, file } = loaded
  const { tensorflow, now, signal, observer, log } = options
  const folder = join(options.models, spec.name, String(spec.version))
  if (existsSync(folder) && !options.force) {
    const exists = { path: '/version', message: `${folder} exists already; --force replaces it` }
    throw new SpecError(file, [exists, ...(await columnProblems(loaded))])
  }

  const started = now()
  const dataset = await readDataset(loaded, signal)
  const { fields, examples } = encodeDataset(loaded, dataset)
  const rows = {
    train: dataset.parts.train.length,
    validation: dataset.parts.validation.length,
    test: dataset.parts.test.length,
  }
  log(
    `${spec.name}: ${rows.train} rows to train, ${rows.validation} to validate, ${rows.test} to test, read in ${seconds(now() - started)}`,
  )

  warnOfOneClass(spec, examples.train, log)

  const model = buildArchitecture(spec.architecture, {
    sparseFields: examples.train.encoded.sparseFields,
    denseFields: examples.train.encoded.denseFields,
    ids: fields.reduce((ids, field) => ids + (field.kind === 'numeric' ? 0 : idsOf(field)), 0),
    tasks: spec.tasks.map(({ name }) => name),
    seed: spec.training.seed,
  })
  log(`${spec.architecture.name} with ${model.countParams()} weights, on TensorFlow (${tensorflow.backend})`)
  const random = createRandom(spec.training.seed)
  const network = createNetwork(tensorflow, model, spec.training.learning_rate, random)
  try {
    const { training, tasks } = spec
    expectSelectable(loaded, examples.validation)
    const fitted = await fit({ network, ...examples, tasks, training, random, now, signal, observer })
    log(`fitted in ${seconds(now() - started)}`)

    const calibrated = calibrateTasks(spec, network, examples.validation, log)
    const predictions = predict(spec, calibrated, network.logits(examples.test.encoded))
    const reports = reportQuality(spec, dataset, predictions)
    const drift = measureDistributions(fields, examples.test.encoded, predictions)
    const chosen = chooseQuantizationRows(examples.validation)
    const quantization = { file: quantizationFile, rows: chosen.rows, labels: true }
    const files = {
      ...(await layersModelFiles(tensorflow, model)),
      [quantizationFile]: encodeQuantizationRows(chosen),
    }
    signal.throwIfAborted()
    const golden = await goldenRows(tensorflow, files, spec, dataset, examples.test.encoded)
    const manifest = describeBundle(spec, fields, calibrated, quantization, golden, reports, drift, {
      created: new Date(now()).toISOString(),
      command: options.command,
      data: describeData(spec),
      seed: training.seed,
      epochs: fitted.epochs,
      kept: fitted.kept,
      rows,
      engine: `tensorflow (${tensorflow.backend})`,
      multigate: options.multigateVersion,
    })
    await writeBundle(folder, { manifest, files }, { replace: options.force })
    return { folder, reports, fitted }
  } finally {
    network.dispose()
  }
}

interface EncodedParts {
  train: Examples
  validation: Examples
  test: Examples
}

function encodeDataset(
  { file, spec }: LoadedSpec,
  { cells, labels, parts, place }: Dataset,
): { fields: Field[]; examples: EncodedParts } {
  const { fields, problems } = fitFields(spec.fields, cells, parts.train)
  if (problems.length > 0) throw new SpecError(file, problems)
  const found = new RowProblems()
  const encode = (rows: Int32Array): Examples => {
    const { encoded } = encodeRows(fields, cells, rows, place, { problems: found })
    return { encoded, labels: labels.map((values) => Int8Array.from(rows, (row) => values[row]!)) }
  }
  const examples = { train: encode(parts.train), validation: encode(parts.validation), test: encode(parts.test) }
  const listed = found.list()
  if (listed.length > 0) throw new SpecError(file, listed)
  return { fields, examples }
}

/** A task with a single class teaches the network at most a constant: its label or `where` is probably wrong. */
function warnOfOneClass(spec: TrainSpec, { labels }: Examples, log: TrainOptions['log']): void {
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
function expectSelectable({ file, spec }: LoadedSpec, validation: Examples): void {
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

function calibrateTasks(spec: TrainSpec, network: Network, validation: Examples, log: TrainOptions['log']): Task[] {
  const logits = network.logits(validation.encoded)
  return spec.tasks.map(({ name, description, calibration }, task) => {
    const inside = insideSampleSpace(validation.labels[task]!, logits, task, spec.tasks.length)
    const fitted = calibration && fitPlatt(inside.labels, inside.logits)
    if (calibration && !fitted) log(`calibration of ${name} omitted: it would reverse the ranking`)
    return {
      name,
      ...(description === undefined ? {} : { description }),
      ...(fitted === undefined ? {} : { calibration: fitted }),
    }
  })
}

/** Served probabilities from logits [rows, tasks]. */
function predict(spec: TrainSpec, tasks: readonly Task[], logits: Float32Array): Predictions {
  const rows = logits.length / tasks.length
  const predictions: Record<string, Float64Array> = {}
  tasks.forEach(({ name, calibration }, task) => {
    const calibrate = createCalibrator(calibration)
    // The network answers float32.
    predictions[name] = Float64Array.from({ length: rows }, (_, row) =>
      calibrate(Math.fround(sigmoid(logits[row * tasks.length + task]!))),
    )
  })
  for (const { name, product } of spec.derived)
    predictions[name] = multiply(
      product.map((factor) => predictions[factor]!),
      rows,
    )
  return predictions
}

/** A few evenly spread test rows, with the answers of the saved graph after reopening it. */
async function goldenRows(
  tensorflow: TensorFlow,
  files: Record<string, Uint8Array>,
  spec: TrainSpec,
  { cells, parts }: Dataset,
  test: EncodedRows,
): Promise<GoldenRows> {
  const count = Math.min(goldenRowCount, test.rows)
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * test.rows) / count))
  const model = await openLayersModel(tensorflow, files)
  try {
    return {
      rows: picked.map((i) =>
        Object.fromEntries(spec.fields.map(({ name }, field) => [name, cells[field]![parts.test[i]!] ?? null])),
      ),
      probabilities: picked.map((i) => probabilitiesOf(tensorflow, model, test, i)),
      tolerance: 1e-5,
    }
  } finally {
    model.dispose()
  }
}

function probabilitiesOf({ tf }: TensorFlow, model: LayersModel, test: EncodedRows, row: number): number[] {
  return tf.tidy(() => {
    const inputs = model.inputNames.map((name) => {
      const width = name === 'sparse' ? test.sparseFields : test.denseFields
      const data = name === 'sparse' ? test.sparse : test.dense
      return tf.tensor2d(
        data.subarray(row * width, (row + 1) * width),
        [1, width],
        name === 'sparse' ? 'int32' : 'float32',
      )
    })
    const output = model.predict(inputs)
    return Array.from((Array.isArray(output) ? output[0]! : output).dataSync())
  })
}

function describeBundle(
  spec: TrainSpec,
  features: Field[],
  tasks: Task[],
  quantization: Quantization,
  golden: GoldenRows,
  reports: readonly TaskReport[],
  drift: DriftReference,
  provenance: NonNullable<Manifest['provenance']>,
): Omit<Manifest, 'files'> {
  const sparse = features.some(({ kind }) => kind !== 'numeric')
  const dense = features.some(({ kind }) => kind === 'numeric')
  return {
    manifest: 1,
    name: spec.name,
    version: String(spec.version),
    ...(spec.description === undefined ? {} : { description: spec.description }),
    architecture: spec.architecture,
    features,
    tasks,
    derived: spec.derived,
    graph: {
      format: 'layers',
      file: layersModelFile,
      inputs: { ...(sparse ? { sparse: 'sparse' } : {}), ...(dense ? { dense: 'dense' } : {}) },
      outputs: graphOutputs(
        spec.architecture,
        spec.tasks.map(({ name }) => name),
      ),
    },
    precision: spec.precision,
    quantization,
    golden: { ...golden, served: servedOf({ tasks, derived: spec.derived }, golden.probabilities) },
    quality: Object.fromEntries(reports.map(({ name, quality }) => [name, quality])),
    drift,
    provenance,
  }
}

function describeData({ data }: TrainSpec): string {
  if ('csv' in data) return data.csv.map((path) => basename(path)).join(', ')
  return `generator ${data.generator}, ${data.rows} rows, seed ${data.seed}`
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`
