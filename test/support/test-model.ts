import { createHash, randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { prepareTensorFlow } from '../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture } from '../../src/model/graph/architectures/build.ts'
import { layersModelFiles } from '../../src/model/graph/lower/layers/write-layers-model.ts'
import { createEncoder } from '../../src/model/serving/features/encoder.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import type { FeatureValue } from '../../src/schemas/feature-value.ts'
import type { Features } from '../../src/schemas/features.ts'
import { openBuilt } from './layers-model.ts'
import { runFolder } from './run-folder.ts'

export interface TestModelOptions {
  architecture: ArchitectureOptions
  features: Features
  seed: number
  /** Factor of the weights that embed numbers. */
  numberScale: number
  /** Golden rows; default: two of the test's features. */
  rows?: TestModel['rows'] | undefined
}

/** An untrained layers model of the tasks ctr and cvr. */
export interface TestModel {
  /** Contents by name. */
  files: Record<string, Uint8Array>
  tasks: string[]
  rows: Record<string, FeatureValue>[]
  /** The predictions of TensorFlow.js for the rows, by row and task. */
  probabilities: number[][]
}

/** By options: this process' models. */
const made = new Map<string, Promise<TestModel>>()

/**
 * Loading TensorFlow.js and predicting with it takes a third of a second, so a run of the tests makes each model once:
 * the first process that needs it leaves it for the others.
 */
export async function testModel(options: TestModelOptions): Promise<TestModel> {
  const key = createHash('sha256').update(JSON.stringify(options)).digest('hex')
  let model = made.get(key)
  if (model === undefined) {
    model = keptModel(key, options)
    made.set(key, model)
  }
  // A test may change what it has received.
  return structuredClone(await model)
}

async function keptModel(key: string, options: TestModelOptions): Promise<TestModel> {
  const file = join(runFolder(), key)
  const kept = await readFile(file).catch(() => undefined)
  if (kept !== undefined) return deserialize(kept)
  const model = await makeModel(options)
  // Others may make the same model meanwhile; nobody reads half of one.
  const own = `${file}-${randomUUID()}`
  await writeFile(own, serialize(model))
  await rename(own, file)
  return model
}

/** Two rows of the test's features. */
const usualRows: TestModel['rows'] = [
  { country: 'DE', hour: 21, campaign: 'c9', price: 1.25 },
  { country: 'XX', hour: 0, campaign: 'c1', price: 0, views: 4 },
]

async function makeModel({
  architecture,
  features,
  seed,
  numberScale,
  rows = usualRows,
}: TestModelOptions): Promise<TestModel> {
  const tensorFlow = await prepareTensorFlow('cpu')
  const { tf } = tensorFlow
  const encoder = createEncoder(features)
  const { layout } = encoder
  const tasks = ['ctr', 'cvr']
  const built = buildArchitecture(architecture, {
    sparseFields: layout.sparse.length,
    denseFields: layout.dense.length,
    ids: layout.ids,
    tasks,
    seed,
  })
  const { sparse, dense } = encoder.rows(undefined, rows, { maxRows: 10, partial: false })
  if (numberScale !== 1) {
    const { data } = built.weights.get('dense_embedding/kernel')!
    const kernel = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
    kernel.forEach((value, i) => {
      kernel[i] = value * numberScale
    })
  }
  const model = await openBuilt(tensorFlow, built)
  const answer = model.predict([
    tf.tensor2d(sparse, [rows.length, layout.sparse.length], 'int32'),
    tf.tensor2d(dense, [rows.length, layout.dense.length]),
  ])
  const probabilities = (Array.isArray(answer) ? answer[0]! : answer).arraySync() as number[][]
  return { files: layersModelFiles(built), tasks, rows, probabilities }
}
