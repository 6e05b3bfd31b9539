import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { createEngine } from '../../model/engines/create.ts'
import { isBins } from '../../model/graph/architectures/numeric-bins.ts'
import { hasOwnTables } from '../../model/graph/architectures/own-tables.ts'
import { renameExternal } from '../../model/graph/ir/external-data.ts'
import { partsOf } from '../../model/graph/lower/concatenate.ts'
import { type LayersModel, readLayersModel } from '../../model/graph/lower/layers/layers-model.ts'
import { isListClass } from '../../model/graph/lower/layers/list-classes.ts'
import { lowerLayersModel } from '../../model/graph/lower/layers/lower-layers.ts'
import { layersModelFile } from '../../model/graph/lower/layers/write-layers-model.ts'
import { readComplete } from '../../model/graph/lower/read-graph.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { encoderOf } from '../../model/serving/features/encoder.ts'
import { layoutOf } from '../../model/serving/features/layout.ts'
import { bindingsOf, toBatch } from '../../model/serving/prediction/bindings.ts'
import { outputsOf, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import { findBundle, missingModel } from '../../model/serving/version/read-version.ts'
import { unseenOptions } from './keras/assumptions.ts'
import { blocksOf } from './keras/blocks.ts'
import { forwardClass } from './keras/forward-class.ts'
import { largestHdf5, readHdf5, readWhole } from './keras/hdf5.ts'
import { recognise } from './keras/recognise.ts'
import type { KerasVersion } from './keras/write-weights.ts'

export type ExportFormat = 'onnx' | 'tfjs' | 'keras-weights'

export interface ExportOptions {
  /** Folder of a version or a model, or a model's name. */
  target: string
  models: string
  to: ExportFormat
  out: string
  /** Keras version that loads the weights. */
  keras: KerasVersion
  force: boolean
  signal: AbortSignal
  progress(text: string): void
}

export interface ExportResult {
  out: string
  manifest: Bundle['manifest']
  /** Number of golden rows that the exported graph answered correctly. */
  checked: number
  /** Rows of the embedding table, for weights of Keras. */
  ids: number | undefined
}

interface Written {
  /** Relative to the folder, in the order in which they may appear. */
  files: string[]
  ids?: number
}

/**
 * Writes a version's graph in another format: `onnx`, one file and its external data; `tfjs`, the folder of a
 * TensorFlow.js layers model; `keras-weights`, a `.weights.h5` for the reference's Python class. The result is opened
 * and must answer the golden rows before it appears, completely or not at all.
 *
 * Rejects with MODEL_NOT_FOUND, INVALID_BUNDLE for a damaged version, UNSUPPORTED_GRAPH if the format can't hold the
 * graph, INVALID_REQUEST if `out` exists.
 */
export async function exportModel(options: ExportOptions): Promise<ExportResult> {
  const { target, models, to, force, signal, progress } = options
  const out = resolve(options.out)
  if (!force) await expectFree(out, options.out)
  const bundle = await findBundle(target, models)
  if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', await missingModel(target, [models]))
  if (bundle.manifestless)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${target} has no manifest that describes its columns: multigate init writes one`,
    )
  progress(`writing ${basename(out)}`)
  await makeFolder(dirname(out))
  const temporary = await mkdtemp(join(dirname(out), `.${basename(out)}-`))
  try {
    const { files, ids } = await writers[to](bundle, temporary, basename(out), options)
    signal.throwIfAborted()
    progress('checking its golden rows')
    const checked = await checkers[to](bundle, temporary, basename(out))
    signal.throwIfAborted()
    for (const file of force ? [] : files) await expectFree(join(dirname(out), file))
    if (force) await rename(out, join(temporary, 'replaced')).catch(ignoreAbsent)
    for (const file of files) await rename(join(temporary, file), join(dirname(out), file))
    return { out, manifest: bundle.manifest, checked, ids }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Each writes into `folder`; `name` is the name of the requested file or folder. */
const writers: Record<
  ExportFormat,
  (bundle: Bundle, folder: string, name: string, options: ExportOptions) => Promise<Written>
> = {
  async onnx({ folder: from, manifest }, folder, name) {
    const { graph } = manifest
    if (graph.format === 'layers') {
      const model = await readLayersModel(from, graph.file)
      await writeFile(join(folder, name), lowerLayersModel(model, savedOutputs(manifest)))
      return { files: [name] }
    }
    if (graph.format !== 'onnx') {
      const { joined: _, ...saved } = savedGraph({ folder: from, manifest }, savedOutputs(manifest))
      await writeFile(join(folder, name), (await readComplete(saved)).toBytes())
      return { files: [name] }
    }
    const { bytes, files } = renameExternal(await readFile(join(from, graph.file)), name)
    await writeFile(join(folder, name), bytes)
    for (const [was, is] of files) await cp(join(from, dirname(graph.file), was), join(folder, is))
    return { files: [...files.values(), name] }
  },

  async tfjs({ folder: from, manifest }, folder, name) {
    needLayers(manifest)
    const { weights: _, ...read } = await readLayersModel(from, manifest.graph.file)
    if (hasLists(read)) throw new ModelError('UNSUPPORTED_GRAPH', 'TensorFlow.js has no layers of lists: use --to onnx')
    const json = JSON.parse(await readFile(join(from, manifest.graph.file), 'utf8'))
    const shards: string[] = json.weightsManifest.flatMap(({ paths }: { paths: string[] }) => paths)
    await mkdir(join(folder, name))
    await cp(join(from, read.file), join(folder, name, layersModelFile))
    for (const shard of new Set(shards)) {
      await makeFolder(dirname(join(folder, name, shard)))
      await cp(join(from, dirname(manifest.graph.file), shard), join(folder, name, shard))
    }
    return { files: [name] }
  },

  async 'keras-weights'({ folder: from, manifest }, folder, name, { keras }) {
    needLayers(manifest)
    const { architecture, tasks, graph } = manifest
    if (architecture === undefined)
      throw new ModelError(
        'UNSUPPORTED_GRAPH',
        `${manifest.name}/${manifest.version} is none of the reference's classes: use --to tfjs or --to onnx`,
      )
    const model = await readLayersModel(from, graph.file)
    const lacking = [
      ...(hasOwnTables(model.weights.keys()) ? ['a table per field'] : []),
      ...([...model.layers.keys()].some(isBins) ? ['bins'] : []),
      ...(hasLists(model) ? ['lists'] : []),
    ].join(' or ')
    const others = hasLists(model) ? '--to onnx' : '--to tfjs or --to onnx'
    if (lacking !== '')
      throw new ModelError('UNSUPPORTED_GRAPH', `the reference's classes don't have ${lacking}: use ${others}`)
    const layout = layoutOf(manifest)
    const table = model.weights.get('embedding/embeddings')
    const shape = {
      sparseFields: layout.sparse.length,
      denseFields: layout.dense.length,
      ids: table?.shape[0] ?? 0,
      tasks: tasks.map(({ name }) => name),
    }
    // Needs h5wasm, which is optional.
    const { writeKerasWeights } = await import('./keras/write-weights.ts')
    const bytes = await writeKerasWeights(
      architecture,
      shape,
      (weight) => {
        const found = model.weights.get(weight)
        if (found === undefined) throw new ModelError('INVALID_BUNDLE', `${model.file} has no weight ${weight}`)
        return new Float32Array(found.data.slice().buffer)
      },
      keras,
    )
    await writeFile(join(folder, name), bytes)
    return { files: [name], ids: shape.ids }
  },
}

const hasLists = ({ layers }: Pick<LayersModel, 'layers'>): boolean =>
  [...layers.values()].some(({ className }) => isListClass(className))

/** Each opens the written graph, checks its answers to the golden rows and returns their number. */
const checkers: Record<ExportFormat, (bundle: Bundle, folder: string, name: string) => Promise<number>> = {
  onnx: (bundle, folder, name) => checkGraph(bundle, 'onnx', { folder, format: 'onnx', file: name }),
  tfjs: (bundle, folder, name) =>
    checkGraph(bundle, 'tensorflow', { folder: join(folder, name), format: 'layers', file: layersModelFile }),
  'keras-weights': (bundle, folder, name) => checkWeights(bundle, join(folder, name)),
}

/** The graph's output tensors: several if each task has its own. */
function savedOutputs(manifest: Bundle['manifest']): string[] {
  return partsOf(outputsOf(manifest), bindingsOf(manifest).joined)
}

function needLayers({ name, version, graph }: Bundle['manifest']): void {
  if (graph.format !== 'layers')
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${name}/${version} is ${graph.format === 'onnx' ? 'an ONNX file' : `a ${graph.format}`}, which can only be exported with --to onnx`,
    )
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function expectFree(path: string, said = path): Promise<void> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  )
  if (exists) throw new ModelError('INVALID_REQUEST', `${said} exists already; --force replaces it`)
}

/**
 * Checks an exported graph's answers to the golden rows; returns their number. Rejects with MODEL_FAILED if one
 * differs.
 */
export async function checkGraph(
  { manifest }: Bundle,
  engineName: 'onnx' | 'tensorflow',
  source: Omit<GraphSource, 'outputs'>,
): Promise<number> {
  const golden = encodeGolden(manifest)
  const engine = await createEngine(engineName, 1)
  const { probabilities: output, joined } = bindingsOf(manifest)
  const loaded = await engine.load({ ...source, outputs: outputsOf(manifest), ...(joined && { joined }) })
  try {
    if (golden.rows === 0) return 0
    const answers = await loaded.run(toBatch(manifest, golden), [output])
    compare(manifest, (row, task) => answers[output]![row * manifest.tasks.length + task]!)
    return golden.rows
  } finally {
    await loaded.close()
  }
}

/** The same check for exported weights, read like an import and computed in float64. */
export async function checkWeights({ manifest }: Bundle, path: string): Promise<number> {
  const file = await readHdf5(await readWhole(path, largestHdf5), path)
  const architecture = manifest.architecture!
  const model = recognise(blocksOf(file), { name: architecture.name, options: unseenOptions(architecture) }, path)
  const { rows, sparse, dense } = encodeGolden(manifest)
  const answers = Array.from({ length: rows }, (_, row) =>
    forwardClass(
      model,
      sparse.subarray(row * model.sparseFields, (row + 1) * model.sparseFields),
      Float64Array.from(dense.subarray(row * model.denseFields, (row + 1) * model.denseFields)),
    ),
  )
  compare(manifest, (row, task) => answers[row]![task]!)
  return rows
}

function encodeGolden(manifest: Bundle['manifest']) {
  const { golden } = manifest
  if (golden === undefined) return { rows: 0, sparse: new Int32Array(), dense: new Float32Array() }
  return encoderOf(manifest).rows(undefined, golden.rows, {
    maxRows: golden.rows.length,
    partial: false,
  })
}

function compare(manifest: Bundle['manifest'], answer: (row: number, task: number) => number): void {
  const { golden, tasks, name, version } = manifest
  golden?.probabilities.forEach((expected, row) => {
    tasks.forEach((task, t) => {
      if (!(Math.abs(answer(row, t) - expected[t]!) <= golden.tolerance))
        throw new ModelError(
          'MODEL_FAILED',
          `${name}/${version}: the export answers ${answer(row, t)} for ${task.name} in golden row ${row}, not ${expected[t]}`,
        )
    })
  })
}
