import type { ModelArtifacts } from '@tensorflow/tfjs-core/dist/io/types.js'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { TensorFlow } from '../model/engines/tensorflow-backend.ts'

/** TensorFlow.js' own shard size, bytes. */
const shardBytes = 4 * 1024 * 1024

export const layersModelFile = 'model.json'

/** A layers model as files: `model.json` and weight shards, as TensorFlow.js' own `model.save` writes them. */
export async function layersModelFiles({ tf }: TensorFlow, model: LayersModel): Promise<Record<string, Uint8Array>> {
  const artifacts = await artifactsOf(tf, model)
  const weights = new Uint8Array(tf.io.CompositeArrayBuffer.join(artifacts.weightData))
  const shards = Math.max(1, Math.ceil(weights.byteLength / shardBytes))
  const files: Record<string, Uint8Array> = {}
  const paths: string[] = []
  for (let shard = 0; shard < shards; shard++) {
    const path = `group1-shard${shard + 1}of${shards}.bin`
    paths.push(path)
    files[path] = weights.subarray(shard * shardBytes, (shard + 1) * shardBytes)
  }
  const { modelTopology, format, generatedBy, convertedBy, weightSpecs } = artifacts
  const json = { modelTopology, format, generatedBy, convertedBy, weightsManifest: [{ paths, weights: weightSpecs }] }
  files[layersModelFile] = Buffer.from(`${JSON.stringify(json, undefined, 1)}\n`)
  return files
}

/** Opens what `layersModelFiles` made. */
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

async function artifactsOf(tf: TensorFlow['tf'], model: LayersModel): Promise<ModelArtifacts> {
  let saved: ModelArtifacts | undefined
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    saved = artifacts
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
  })
  await model.save(handler)
  return saved!
}
