import { product } from '../../../../base/arrays.ts'
import type { LayersModel, Weight } from './layers-model.ts'

/** TensorFlow.js' own shard size, bytes. */
const shardBytes = 4 * 1024 * 1024

export const layersModelFile = 'model.json'

/** A weight, by the name that its layer finds it under: `<layer>/<weight>`. */
export type WeightSpec = Pick<Weight, 'name' | 'shape' | 'dtype'>

/**
 * A layers model as files, which plain TensorFlow.js opens: `model.json` and shards, which share memory with the
 * model's weights.
 */
export function layersModelFiles({ topology, weights, weightData }: LayersModel): Record<string, Uint8Array> {
  const specs = [...weights.values()].map(({ name, shape, dtype }) => ({ name, shape, dtype }))
  return filesOf(topology, specs, new Uint8Array(weightData))
}

/** The same of a topology and its weights; throws RangeError where the values don't fit a weight's shape. */
export function layersFiles(
  topology: Record<string, unknown>,
  specs: WeightSpec[],
  values: Float32Array[],
): Record<string, Uint8Array> {
  const bytes = new Uint8Array(values.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let offset = 0
  specs.forEach((spec, i) => {
    copy(spec, values[i]!, bytes.subarray(offset))
    offset += values[i]!.byteLength
  })
  return filesOf(topology, specs, bytes)
}

/**
 * Overwrites every weight of a model, row-major; throws RangeError where the values don't fit its shape, and what
 * `valuesOf` throws.
 */
export function setWeights({ weights }: LayersModel, valuesOf: (weight: WeightSpec) => Float32Array): void {
  for (const weight of weights.values()) copy(weight, valuesOf(weight), weight.data)
}

function copy({ name, shape }: WeightSpec, values: Float32Array, target: Uint8Array): void {
  if (values.length !== product(shape)) throw new RangeError(`${name} [${shape}] can't have ${values.length} values`)
  target.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
}

function filesOf(
  modelTopology: Record<string, unknown>,
  weights: WeightSpec[],
  bytes: Uint8Array,
): Record<string, Uint8Array> {
  const shards = Math.max(1, Math.ceil(bytes.byteLength / shardBytes))
  const files: Record<string, Uint8Array> = {}
  const paths: string[] = []
  for (let shard = 0; shard < shards; shard++) {
    const path = `group1-shard${shard + 1}of${shards}.bin`
    paths.push(path)
    files[path] = bytes.subarray(shard * shardBytes, (shard + 1) * shardBytes)
  }
  const described = { modelTopology, format: 'layers-model', generatedBy: 'multigate', convertedBy: null }
  const json = { ...described, weightsManifest: [{ paths, weights }] }
  files[layersModelFile] = Buffer.from(`${JSON.stringify(json, undefined, 1)}\n`)
  return files
}
