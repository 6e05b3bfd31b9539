import { rm, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { systemClock } from '../../base/clock.ts'
import { ModelError } from '../../base/errors.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import { createEnginePool } from '../../model/engines/pool/pool.ts'
import { type NewBundle, writeBundle } from '../../model/serving/bundle/write.ts'
import type { ServedPlan } from '../../model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../model/serving/prediction/model.ts'
import { servedOf } from '../../model/serving/prediction/served.ts'
import { findGraph } from '../../model/serving/version/manifestless.ts'
import { readBundle } from '../../model/serving/version/read-version.ts'
import type { GoldenRows, Manifest, Task } from '../../schemas/manifest.ts'
import { readArchitecture } from './architecture-option.ts'
import { type ChosenFields, chooseFields } from './fields.ts'
import { checkGolden, drawGolden } from './golden.ts'
import type { Assumption } from './keras/assumptions.ts'
import type { ImportedModel } from './keras/imported-model.ts'
import { openKeras } from './keras/open-keras.ts'
import { readFeatures, readText } from './read-options.ts'

export interface ImportOptions {
  path: string
  name: string
  models: string
  version: string
  /** Files with what the model's file does not contain. */
  features: string | undefined
  architecture: string | undefined
  golden: string | undefined
  tasks: string[] | undefined
  sizes: number[] | undefined
  context: string[]
  cross: string[]
  /** Accept rows of an embedding table that belong to no field. */
  allowUnused: boolean
  force: boolean
  /** Folder of compiled plans. */
  cache: string | undefined
  /** For the manifest's provenance. */
  command: string
  multigateVersion: string
  now: () => number
  signal: AbortSignal
  /** Called with the current step; an empty text ends it. */
  progress(text: string): void
}

export interface ImportResult extends Verified {
  folder: string
  description: string
  manifest: Omit<Manifest, 'files'>
  /** File of golden rows; undefined if they were drawn. */
  goldenFrom: string | undefined
  /** Assumptions that nothing has checked: empty if golden rows from Keras did. */
  unchecked: Assumption[]
  notes: string[]
}

/**
 * Converts a model saved by Keras into a version: reads it, assigns fields to its columns, builds the graph and loads
 * it as the server does. The version is written last, completely or not at all.
 *
 * Rejects with ModelError: INVALID_BUNDLE if the model's file is invalid, UNSUPPORTED_GRAPH if it uses something that
 * is not supported, INVALID_REQUEST if an option does not fit it.
 */
export async function importModel(options: ImportOptions): Promise<ImportResult> {
  const { path, name, models, version, force, signal, progress } = options
  const folder = join(models, name, version)
  await refuseGraph(options)
  const stated = options.features === undefined ? undefined : await readFeatures(options.features)
  const hints = options.architecture === undefined ? undefined : await readArchitecture(options.architecture)

  progress(`reading ${basename(path)}`)
  const model = await openKeras(path, hints)
  signal.throwIfAborted()
  const fields = chooseFields(model, {
    features: stated?.features,
    sizes: options.sizes,
    sides: { context: options.context, cross: options.cross },
    allowUnused: options.allowUnused,
  })
  const tasks = chooseTasks(model, stated?.tasks, options.tasks)
  if (!force && (await exists(folder)))
    throw new ModelError('INVALID_REQUEST', `${folder} exists already; --force replaces it`)
  const derived = stated?.derived ?? []
  const golden = await goldenOf(options, model, fields, tasks)
  signal.throwIfAborted()

  progress('building the graph')
  const { graph, files } = await model.build(
    fields.ranges,
    tasks.map(({ name }) => name),
    fields.ownIds,
  )
  signal.throwIfAborted()
  const manifest: ImportResult['manifest'] = {
    manifest: 1,
    name,
    version,
    description: stated?.description ?? model.description,
    ...(model.architecture && { architecture: model.architecture }),
    features: fields.features,
    tasks,
    derived,
    graph: { ...graph, inputs: { ...graph.inputs, ...(fields.ownIds && { ids: 'per_field' }) } },
    precision: 'float32',
    golden: { ...golden, served: servedOf({ tasks, derived }, golden.probabilities) },
    provenance: {
      created: new Date(options.now()).toISOString(),
      command: options.command,
      multigate: options.multigateVersion,
    },
  }
  progress('loading it as the server does')
  const verified = await verifyBundle({ manifest, files }, options.cache, options.now)
  signal.throwIfAborted()
  await writeBundle(folder, { manifest, files }, { replace: force })
  return {
    ...verified,
    folder,
    description: model.description,
    manifest,
    goldenFrom: options.golden,
    unchecked: options.golden === undefined ? model.assumed : [],
    notes: fields.notes,
  }
}

/** A graph in another format is not converted: it only needs a manifest. */
async function refuseGraph(options: ImportOptions): Promise<void> {
  const { path, name, models, version, features, tasks, context, cross, golden } = options
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const file = basename(path)
  const isGraph = extname(file) === '.onnx' || file === 'model.json' || file === 'saved_model.pb'
  if (!isGraph && !(isFolder && (await findGraph(path, path)))) return
  const flags = Object.entries({
    name,
    models: models === 'models' ? undefined : models,
    'model-version': version === '1' ? undefined : version,
    features,
    tasks: tasks?.join(','),
    context: context.join(',') || undefined,
    cross: cross.join(',') || undefined,
    golden,
  }).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag} ${value}`]))
  throw new ModelError(
    'INVALID_REQUEST',
    `${path} is served without conversion; it only needs a manifest:\n  multigate init ${[path, ...flags].join(' ')}`,
  )
}

function chooseTasks(model: ImportedModel, stated: Task[] | undefined, names: string[] | undefined): Task[] {
  if (stated !== undefined && names !== undefined)
    throw new ModelError('INVALID_REQUEST', 'the features file names the tasks: omit --tasks')
  const tasks = stated ?? (names ?? model.tasks).map((name) => ({ name }))
  if (tasks.length !== model.tasks.length)
    throw new ModelError(
      'INVALID_REQUEST',
      `${tasks.map(({ name }) => name).join(', ')}: ${tasks.length} tasks, but the model has ${model.tasks.length}`,
    )
  return tasks
}

async function goldenOf(
  { golden, progress }: ImportOptions,
  model: ImportedModel,
  { notes: _, ...fields }: ChosenFields,
  tasks: Task[],
): Promise<GoldenRows> {
  const source = { model, ...fields, tasks: tasks.map(({ name }) => name) }
  progress('computing golden rows')
  if (golden !== undefined) return checkGolden(await readText(golden), golden, source)
  // The same model always gets the same rows.
  const generator = xoroshiro128plus(1)
  return drawGolden(source, () => uniformFloat64(generator))
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** How a version will be served. */
export interface Verified {
  engine: string
  plan: Pick<ServedPlan, 'compiled' | 'split' | 'notes'>
}

/**
 * Loads a version as the server does, outside the folder of models: the graph must fit its manifest, answer the golden
 * rows (compiled, if it compiles) and contain the largest ids in its tables.
 *
 * `cache`: folder of compiled plans; the server later reuses the plan. Rejects with the server's error.
 */
export async function verifyBundle(bundle: NewBundle, cache: string | undefined, now: () => number): Promise<Verified> {
  const { name, version } = bundle.manifest
  const root = await makeTemporaryFolder('verify')
  try {
    await writeBundle(join(root, name, version), bundle)
    const pool = await createEnginePool({ engine: 'auto', workers: 1 })
    try {
      const model = await loadModel(await readBundle(root, name, version), {
        pool,
        clock: systemClock,
        compiler: { cache, candidateBytes: 0, now },
        maxBatchRows: 64,
        maxDelayMs: 0,
        maxQueueRows: 10_000,
        maxRequestRows: 10_000,
      })
      const { engine, plan } = model
      const { compiled, split, notes } = plan
      await model.close()
      return { engine, plan: { compiled, split, notes } }
    } finally {
      await pool.close()
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}
