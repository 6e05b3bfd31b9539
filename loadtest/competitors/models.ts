import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildArchitecture } from '../../src/model/graph/architectures/build.ts'
import { type LayersModel, readLayersModel } from '../../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel } from '../../src/model/graph/lower/layers/lower-layers.ts'
import { layersModelFile, layersModelFiles } from '../../src/model/graph/lower/layers/write-layers-model.ts'
import { encodeQuantizationRows } from '../../src/model/serving/bundle/quantization.ts'
import { writeBundle } from '../../src/model/serving/bundle/write.ts'
import type { Features, Side } from '../../src/schemas/features.ts'
import type { Precision } from '../../src/schemas/precision.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import { drawEncodedRows } from '../bodies.ts'
import { optionsOf } from '../training/networks.ts'

/** A multi-gate mixture of experts with random weights, of the size of a real one. */
export interface ReferenceModel {
  name: string
  /** The first `context` fields belong to the context, the others to the candidate; each has `ids` ids of its own. */
  sparse: { fields: number; context: number; ids: number }
  dense: { fields: number; context: number }
  /** Embedding dimension. */
  embedding: number
  experts: number
  /** Widths of an expert's two layers, and of a tower's hidden one. */
  expert: [number, number]
  tower: number
}

export const tasks = ['ctr', 'cvr']

export const referenceModels: Record<'small' | 'prod', ReferenceModel> = {
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
}

/** Where a reference model lies: as a bundle, alone in a folder of models, and as ONNX. */
export interface ModelFiles {
  models: string
  /** The same in other precisions. */
  rounded?: Record<(typeof rounded)[number], string>
  onnx: string
}

const rounded = ['bfloat16', 'int8'] as const
/** Random rows: half of them set the scales of int8, half judge the precision. */
const quantizationRows = 2048
const quantizationFile = 'quantization.bin'

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
  const onnx = lowerLayersModel(await readLayersModel(version, layersModelFile), ['probabilities'])
  await writeFile(join(temporary, `${model.name}.onnx`), onnx)
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
  return files
}

/** Names `c0`, `c1`, … and `x0`, `x1`, …: categorical and numeric. */
export function featuresOf({ sparse, dense }: ReferenceModel): Features {
  return [
    ...Array.from({ length: sparse.fields }, (_, i) =>
      integerField(`c${i}`, sparse.ids, i < sparse.context ? 'context' : 'candidate'),
    ),
    ...Array.from({ length: dense.fields }, (_, i) =>
      numberField(`x${i}`, i < dense.context ? 'context' : 'candidate'),
    ),
  ]
}

export const integerField = (name: string, size: number, side: Side) =>
  ({ name, side, kind: 'integer', size, out_of_vocabulary: 'error', missing: 'error' }) as const

export const numberField = (name: string, side: Side) =>
  ({ name, side, kind: 'numeric', scaling: { method: 'none' }, missing: 'error' }) as const

/** Writes a version of a model as a bundle; other weights for each seed. */
export async function writeModel(
  model: ReferenceModel,
  folder: string,
  version = '1',
  weights = seed,
  precision: Precision = 'float32',
): Promise<void> {
  const built = build(model, weights)
  randomiseWeights(built, weights)
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
      graph: {
        format: 'layers',
        file: layersModelFile,
        inputs: { sparse: 'sparse', dense: 'dense' },
        outputs: { probabilities: 'probabilities', logits: 'logits' },
      },
      precision,
      ...(judged && { quantization: judged }),
    },
    files: {
      ...layersModelFiles(built),
      ...(judged && { [judged.file]: encodeQuantizationRows(drawEncodedRows(features, quantizationRows, seed)) }),
    },
  })
}

/** Without normalisation layers, which ONNX Runtime would not fold for the competitors. */
function build(model: ReferenceModel, seed: number): LayersModel {
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
