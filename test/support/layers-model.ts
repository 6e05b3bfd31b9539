import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { io } from '@tensorflow/tfjs-core'
import type { LayersModel as RunnableModel } from '@tensorflow/tfjs-layers'
import { openLayersModel } from '../../src/model/engines/tensorflow/open-layers-model.ts'
import type { TensorFlow } from '../../src/model/engines/tensorflow/tensorflow-backend.ts'
import type { LayersModel } from '../../src/model/graph/lower/layers/layers-model.ts'
import { layersModelFiles } from '../../src/model/graph/lower/layers/write-layers-model.ts'

/** A built model as TensorFlow.js opens its files. */
export function openBuilt(tensorflow: TensorFlow, model: LayersModel): Promise<RunnableModel> {
  return openLayersModel(tensorflow, layersModelFiles(model))
}

/** Writes files by their names below `folder`. */
export async function writeFiles(folder: string, files: Record<string, Uint8Array>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(folder, path), bytes)
}

/** Saves a model as TensorFlow.js does: model.json and its weights, cut into `shards` files. */
export async function saveLayersModel(
  { tf }: TensorFlow,
  model: RunnableModel,
  folder: string,
  shards = 1,
): Promise<void> {
  let saved: io.ModelArtifacts | undefined
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  const { weightData, weightSpecs, modelTopology, format, generatedBy } = saved!
  const bytes = new Uint8Array(weightData as ArrayBuffer)
  const step = Math.ceil(bytes.length / shards)
  const paths = Array.from({ length: shards }, (_, i) => `group1-shard${i + 1}of${shards}.bin`)
  await mkdir(folder, { recursive: true })
  for (const [i, path] of paths.entries()) await writeFile(join(folder, path), bytes.subarray(i * step, (i + 1) * step))
  const json = { format, generatedBy, modelTopology, weightsManifest: [{ paths, weights: weightSpecs }] }
  await writeFile(join(folder, 'model.json'), JSON.stringify(json))
}

/** Overwrites a model's weights by their names, `<layer>/<weight>`; `values` must have every one. */
export function setWeights(
  { tf }: TensorFlow,
  model: RunnableModel,
  values: (name: string, shape: number[]) => Float32Array | undefined,
): void {
  for (const weight of model.weights) {
    const shape = weight.shape as number[]
    const data = values(weight.originalName, shape)
    if (data === undefined) throw new Error(`no values for ${weight.originalName}`)
    const tensor = tf.tensor(data, shape)
    weight.write(tensor)
    tensor.dispose()
  }
}
