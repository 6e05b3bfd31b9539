import type { ModelArtifacts } from '@tensorflow/tfjs-core/dist/io/types.js'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { layersModelFile } from '../../graph/lower/layers/write-layers-model.ts'
import type { TensorFlow } from './tensorflow-backend.ts'

/** Opens the files of a layers model for TensorFlow.js, on its current backend. */
export async function openLayersModel(
  { tf, layers }: TensorFlow,
  files: Record<string, Uint8Array>,
): Promise<LayersModel> {
  const json = JSON.parse(Buffer.from(files[layersModelFile]!).toString())
  const [{ paths, weights }] = json.weightsManifest as [{ paths: string[]; weights: ModelArtifacts['weightSpecs'] }]
  const whole = Buffer.concat(paths.map((path) => files[path]!))
  const weightData = whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.byteLength) as ArrayBuffer
  const { modelTopology, format, generatedBy, convertedBy } = json
  return layers.loadLayersModel(
    tf.io.fromMemory({ modelTopology, format, generatedBy, convertedBy, weightSpecs: weights!, weightData }),
  )
}
