import type { ModelArtifacts, WeightsManifestEntry } from '@tensorflow/tfjs-core/dist/io/types.js'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { product } from '../../base/dims.ts'
import type { TensorFlow } from './tensorflow-backend.ts'

/** TensorFlow.js' own shard size, bytes. */
const shardBytes = 4 * 1024 * 1024

export const layersModelFile = 'model.json'

/** What a layers model's model.json says beside its weights. */
type Topology = Pick<ModelArtifacts, 'modelTopology' | 'format' | 'generatedBy' | 'convertedBy'>

/** A weight, by the name that its layer finds it under: `<layer>/<weight>`. */
export type WeightSpec = Pick<WeightsManifestEntry, 'name' | 'shape' | 'dtype'>

/**
 * A layers model as files: `model.json` and weight shards, as TensorFlow.js' own `model.save` writes them. `valuesOf`
 * gives weights other than the model's own, row-major.
 */
export async function layersModelFiles(
  { tf }: TensorFlow,
  model: LayersModel,
  valuesOf?: (weight: WeightSpec) => Float32Array,
): Promise<Record<string, Uint8Array>> {
  const artifacts = await artifactsOf(tf, model)
  const weights = new Uint8Array(tf.io.CompositeArrayBuffer.join(artifacts.weightData))
  const specs = artifacts.weightSpecs!
  if (valuesOf === undefined) return filesOf(artifacts, specs, weights)
  return layersFiles(artifacts, specs, specs.map(valuesOf))
}

/** The same of a topology and its weights; throws RangeError where the values don't fit a weight's shape. */
export function layersFiles(
  topology: Topology,
  specs: WeightSpec[],
  values: Float32Array[],
): Record<string, Uint8Array> {
  const bytes = new Uint8Array(values.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let offset = 0
  specs.forEach(({ name, shape }, i) => {
    const { buffer, byteOffset, byteLength, length } = values[i]!
    if (length !== product(shape)) throw new RangeError(`${name} [${shape}] can't have ${length} values`)
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset)
    offset += byteLength
  })
  return filesOf(topology, specs, bytes)
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

function filesOf(topology: Topology, weightSpecs: WeightSpec[], weights: Uint8Array): Record<string, Uint8Array> {
  const shards = Math.max(1, Math.ceil(weights.byteLength / shardBytes))
  const files: Record<string, Uint8Array> = {}
  const paths: string[] = []
  for (let shard = 0; shard < shards; shard++) {
    const path = `group1-shard${shard + 1}of${shards}.bin`
    paths.push(path)
    files[path] = weights.subarray(shard * shardBytes, (shard + 1) * shardBytes)
  }
  const { modelTopology, format, generatedBy, convertedBy } = topology
  const json = { modelTopology, format, generatedBy, convertedBy, weightsManifest: [{ paths, weights: weightSpecs }] }
  files[layersModelFile] = Buffer.from(`${JSON.stringify(json, undefined, 1)}\n`)
  return files
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
