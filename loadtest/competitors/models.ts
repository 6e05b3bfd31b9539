import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildArchitecture } from '../../src/model/graph/architectures/build.ts'
import { type LayersModel, readLayersModel } from '../../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel } from '../../src/model/graph/lower/layers/lower-layers.ts'
import { layersModelFile, layersModelFiles } from '../../src/model/graph/lower/layers/write-layers-model.ts'
import { encodeQuantizationRows } from '../../src/model/serving/bundle/quantization.ts'
import { writeBundle } from '../../src/model/serving/bundle/write.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import type { Precision } from '../../src/schemas/precision.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import { drawEncodedRows } from '../bodies.ts'
import { optionsOf } from '../training/networks.ts'
import { type AttentionModel, attentionGraph } from './attention.ts'
import { featuresOf, type ModelColumns } from './columns.ts'

/** A model with random weights, of the size of a real one. */
export type ReferenceModel = MixtureModel | AttentionModel

/** A multi-gate mixture of experts. */
export interface MixtureModel extends ModelColumns {
  name: string
  /** Embedding dimension. */
  embedding: number
  experts: number
  /** Widths of an expert's two layers, and of a tower's hidden one. */
  expert: [number, number]
  tower: number
}

export const tasks = ['ctr', 'cvr']

export const referenceModels = {
  small: {
    name: 'small',
    sparse: { fields: 5, context: 2, ids: 20 },
    dense: { fields: 10, context: 5 },
    embedding: 4,
    experts: 2,
    expert: [32, 32],
    tower: 32,
  },
  prod: {
    name: 'prod',
    sparse: { fields: 26, context: 13, ids: 3846 },
    dense: { fields: 13, context: 6 },
    embedding: 16,
    experts: 8,
    expert: [256, 128],
    tower: 64,
  },
  din: {
    name: 'din',
    sparse: { fields: 52, context: 51, ids: 10_000, history: 50 },
    dense: { fields: 2, context: 1 },
    embedding: 32,
    unit: [64, 16],
    hidden: 64,
  },
} satisfies Record<string, ReferenceModel>

/** Where a reference model lies: as a bundle, alone in a folder of models, and as ONNX. */
export interface ModelFiles {
  models: string
  /** The same in other precisions. */
  rounded?: Record<(typeof rounded)[number], string>
  onnx: string
}

const rounded = ['bfloat16', 'int8'] as const

/** The folder of models with this precision; default: float32. */
export function modelsIn(
  { models, rounded }: ModelFiles,
  precision?: keyof NonNullable<ModelFiles['rounded']>,
): string {
  return precision === undefined ? models : rounded![precision]
}

/** Random rows: half of them set the scales of int8, half judge the precision. */
const quantizationRows = 2048
const quantizationFile = 'quantization.bin'
const onnxFile = 'model.onnx'
const probabilities = 'probabilities'

/** Changes with what is made here, so that a cache of an older form isn't taken for it. */
const format = 4
const seed = 11

/** Makes a model in the folder `cache` if it isn't there yet; the same weights on every machine. */
export async function prepareModel(model: ReferenceModel, cache: string): Promise<ModelFiles> {
  const key = createHash('sha256')
    .update(JSON.stringify([format, seed, model]))
    .digest('hex')
    .slice(0, 12)
  const folder = join(cache, 'models', `${model.name}-${key}`)
  const files: ModelFiles = {
    models: join(folder, 'models'),
    rounded: { bfloat16: join(folder, 'bfloat16'), int8: join(folder, 'int8') },
    onnx: join(folder, `${model.name}.onnx`),
  }
  if (await exists(files.onnx)) return files
  await mkdir(join(cache, 'models'), { recursive: true })
  const temporary = await mkdtemp(join(cache, 'models', '.new-'))
  const version = join(temporary, 'models', model.name, '1')
  await writeModel(model, version)
  for (const precision of rounded)
    await writeModel(model, join(temporary, precision, model.name, '1'), '1', seed, precision)
  await writeFile(join(temporary, `${model.name}.onnx`), await readOnnx(model, version))
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
  return files
}

/** Writes a version of a model as a bundle; other weights for each seed. */
export async function writeModel(
  model: ReferenceModel,
  folder: string,
  version = '1',
  weights = seed,
  precision: Precision = 'float32',
): Promise<void> {
  const { graph, files } = graphOf(model, weights)
  const features = featuresOf(model)
  const judged = precision === 'float32' ? undefined : { file: quantizationFile, rows: quantizationRows, labels: false }
  await writeBundle(folder, {
    manifest: {
      manifest: 1,
      name: model.name,
      version,
      description: 'Random weights, for the load test',
      features,
      tasks: tasks.map((name) => ({ name })),
      derived: [],
      graph,
      precision,
      ...(judged && { quantization: judged }),
    },
    files: {
      ...files,
      ...(judged && { [judged.file]: encodeQuantizationRows(drawEncodedRows(features, quantizationRows, seed)) }),
    },
  })
}

/** A mixture is written as a layers model, attention as ONNX. */
function graphOf(model: ReferenceModel, seed: number): { graph: Manifest['graph']; files: Record<string, Uint8Array> } {
  const inputs = { sparse: 'sparse', dense: 'dense' }
  if (isAttention(model)) {
    const graph: Manifest['graph'] = { format: 'onnx', file: onnxFile, inputs, outputs: { probabilities } }
    return { graph, files: { [onnxFile]: attentionGraph(model, tasks.length, seed).toBytes() } }
  }
  const built = build(model, seed)
  randomiseWeights(built, seed)
  const outputs = { probabilities, logits: 'logits' }
  return { graph: { format: 'layers', file: layersModelFile, inputs, outputs }, files: layersModelFiles(built) }
}

/** The graph of a version as ONNX, for the competitors. */
async function readOnnx(model: ReferenceModel, version: string): Promise<Uint8Array> {
  if (isAttention(model)) return readFile(join(version, onnxFile))
  return lowerLayersModel(await readLayersModel(version, layersModelFile), [probabilities])
}

const isAttention = (model: ReferenceModel): model is AttentionModel => 'unit' in model

/** Without normalisation layers, which ONNX Runtime would not fold for the competitors. */
function build(model: MixtureModel, seed: number): LayersModel {
  const { sparse, dense, embedding } = model
  const shape = { sparseFields: sparse.fields, denseFields: dense.fields, ids: sparse.fields * sparse.ids }
  const options = { ...optionsOf({ ...model, dim: embedding }), normalisation: 'none' as const }
  return buildArchitecture(options, { ...shape, tasks, seed })
}

/** Initial biases are 0 and initial embeddings tiny: a wrong id or a dropped bias would not show in the answers. */
function randomiseWeights({ weights }: LayersModel, seed: number): void {
  const random = createRandom(seed)
  for (const { name, data } of weights.values()) {
    const deviation = /bias/.test(name) ? 0.1 : /^embedding\//.test(name) ? 0.5 : 0
    if (deviation === 0) continue
    const values = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
    for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal()
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
