import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { columnProblems, type Dataset, judgingBytes, readDataset } from '../data/dataset.ts'
import { describeData } from '../data/describe-data.ts'
import { measureDistributions } from '../data/distributions.ts'
import { encodeParts } from '../data/encode-parts.ts'
import { createRandom } from '../data/random.ts'
import { RowProblems } from '../data/row-problems.ts'
import { type LoadedSpec, SpecError } from '../data/spec.ts'
import { rowsToFit } from '../evaluate/baselines.ts'
import { judgeNewVersion } from '../evaluate/judge-new-version.ts'
import { repeatedRows } from '../evaluate/overlap.ts'
import { qualityOf } from '../evaluate/quality.ts'
import { buildArchitecture } from '../model/architectures/build.ts'
import { graphOutputs } from '../model/architectures/outputs.ts'
import { encodeQuantizationRows } from '../model/bundle/quantization.ts'
import { writeBundle } from '../model/bundle/write.ts'
import { openLayersModel } from '../model/engines/tensorflow/open-layers-model.ts'
import type { TensorFlow } from '../model/engines/tensorflow/tensorflow-backend.ts'
import { idsOf } from '../model/features/field.ts'
import { layersModelFile, layersModelFiles, setWeights } from '../model/lower/layers/write-layers-model.ts'
import { servedOf } from '../model/prediction/served.ts'
import type { EvaluationReport } from '../schemas/evaluation.ts'
import type { Field } from '../schemas/features.ts'
import type { DerivedTask, GoldenRows, Manifest, Quantization, Task } from '../schemas/manifest.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Examples } from './batches.ts'
import { calibrateTasks } from './calibrate-tasks.ts'
import { fitFields, readingsOf, unknownIdsOf } from './fields.ts'
import { type FitObserver, type FitResult, fit } from './fit.ts'
import { goldenRows } from './golden-rows.ts'
import { createNetwork } from './network.ts'
import { chooseQuantizationRows, quantizationFile } from './quantization.ts'
import { createSelection, validate } from './selection.ts'

/** Bytes per row and field: 4 of the encoded form of all rows, and judging of a third of them. */
const bytesAfter = 4 + judgingBytes / 3

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
  /** Folder of compiled plans, for judging the version. */
  cache: string | undefined
  log(line: string): void
}

/**
 * Trains a model version from a spec, judges it on the test rows as it will be served, and writes it, unless it fails the spec's
 * conditions of publishing: then `folder` is undefined. The same spec, data and machine give the same weights, bit for bit.
 *
 * Rejects with a SpecError for an invalid spec or data that does not fit it, and with the signal's reason when aborted.
 */
export async function train(
  loaded: LoadedSpec,
  options: TrainOptions,
): Promise<{ folder: string | undefined; report: EvaluationReport; fitted: FitResult }> {
  const { spec, file } = loaded
  const { tensorflow, now, signal, observer, log } = options
  const folder = join(options.models, spec.name, String(spec.version))
  if (existsSync(folder) && !options.force) {
    const exists = { path: '/version', message: `${folder} exists already; --force replaces it` }
    throw new SpecError(file, [exists, ...(await columnProblems(loaded, readingsOf(spec.fields)))])
  }

  const started = now()
  const dataset = await readDataset(loaded, readingsOf(spec.fields), { signal, bytesAfter })
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

  const built = buildArchitecture(spec.architecture, {
    sparseFields: examples.train.encoded.sparseFields,
    denseFields: examples.train.encoded.denseFields,
    ids: fields.reduce((ids, field) => ids + (field.kind === 'numeric' ? 0 : idsOf(field)), 0),
    tasks: spec.tasks.map(({ name }) => name),
    seed: spec.training.seed,
  })
  const model = await openLayersModel(tensorflow, layersModelFiles(built))
  log(`${spec.architecture.name} with ${model.countParams()} weights, on TensorFlow (${tensorflow.backend})`)
  const random = createRandom(spec.training.seed)
  const network = createNetwork(tensorflow, model, spec.training.learning_rate, random)
  try {
    const { training, tasks } = spec
    expectSelectable(loaded, examples.validation)
    const fitted = await fit({
      ...{ network, ...examples, tasks, training, random, now, signal, observer },
      unknownIds: unknownIdsOf(fields),
    })
    log(`fitted in ${seconds(now() - started)}`)

    const calibrated = calibrateTasks(spec, examples.validation, network.logits(examples.validation.encoded), log)
    const chosen = chooseQuantizationRows(examples.validation)
    const quantization = { file: quantizationFile, rows: chosen.rows, labels: true }
    const trained = network.snapshot()
    const places = new Map(model.weights.map(({ originalName }, i) => [originalName, i]))
    setWeights(built, ({ name }) => trained[places.get(name)!]!)
    const files = {
      ...layersModelFiles(built),
      [quantizationFile]: encodeQuantizationRows(chosen),
    }
    signal.throwIfAborted()
    const golden = await goldenRows(tensorflow, files, spec, dataset, examples.test.encoded)
    const described = describeBundle(spec, fields, calibrated, quantization, golden, {
      created: new Date(now()).toISOString(),
      command: options.command,
      data: describeData(spec.data),
      seed: training.seed,
      epochs: fitted.epochs,
      kept: fitted.kept,
      history: fitted.history,
      rows,
      engine: `tensorflow (${tensorflow.backend})`,
      multigate: options.multigateVersion,
    })
    const judged = await judgeNewVersion({ manifest: described, files }, loaded, dataset, {
      ...options,
      fields: spec.fields.map(({ name }) => name),
    })
    const { report, scored } = judged
    if (report.publish?.passed === false) return { folder: undefined, report, fitted }
    signal.throwIfAborted()
    const drift = measureDistributions(fields, examples.test.encoded, scored.predictions)
    const manifest = { ...described, quality: qualityOf(report), drift }
    await writeBundle(folder, { manifest, files }, { replace: options.force })
    return { folder, report, fitted }
  } finally {
    network.dispose()
  }
}

interface EncodedParts {
  train: Examples
  validation: Examples
  test: Examples
}

/** Fits the fields and encodes the parts. Lets go of the cells that judging does not need. */
function encodeDataset({ file, spec }: LoadedSpec, dataset: Dataset): { fields: Field[]; examples: EncodedParts } {
  const { cells, labels, weights, parts } = dataset
  const { fields, problems } = fitFields(spec.fields, cells, parts.train)
  if (problems.length > 0) throw new SpecError(file, problems)
  dataset.repeatedTests = repeatedRows(dataset, parts.test)
  const found = new RowProblems()
  const encoded = encodeParts(fields, dataset, [parts.test, rowsToFit(parts.train)], found)
  const listed = found.list()
  if (listed.length > 0) throw new SpecError(file, listed)
  const examplesOf = (part: keyof EncodedParts): Examples => ({
    encoded: encoded[part],
    labels: labels.map((values) => pick(values, parts[part], new Int8Array(parts[part].length))),
    weights: weights && pick(weights, parts[part], new Float32Array(parts[part].length)),
  })
  return {
    fields,
    examples: { train: examplesOf('train'), validation: examplesOf('validation'), test: examplesOf('test') },
  }
}

/** Fills `target` with the values of the rows. */
function pick<T extends Int8Array | Float32Array>(values: ArrayLike<number>, rows: Int32Array, target: T): T {
  for (let i = 0; i < rows.length; i++) target[i] = values[rows[i]!]!
  return target
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

function describeBundle(
  spec: TrainSpec,
  features: Field[],
  { tasks, derived }: { tasks: Task[]; derived: DerivedTask[] },
  quantization: Quantization,
  golden: GoldenRows,
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
    derived,
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
    golden: { ...golden, served: servedOf({ tasks, derived }, golden.probabilities) },
    provenance,
  }
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`
