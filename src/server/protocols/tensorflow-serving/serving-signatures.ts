import { invalidRequest } from '../../../model/serving/features/problems.ts'
import type { LoadedModel } from '../../../model/serving/prediction/loaded-model.ts'
import type { OutputTensor } from '../../../model/serving/prediction/tensors.ts'
import type { ServingMetadata, ServingSignatureDef } from '../../../schemas/serving.ts'

/** The signature of requests that name none, by TensorFlow's convention. */
const defaultSignature = 'serving_default'

/** Named features, which TensorFlow knows nothing of. */
export const featuresSignature = 'features'

/** Names by which a model may be asked: that of its graph, and `features` where it has a manifest. */
export function signatureNames({ manifest, manifestless }: LoadedModel): string[] {
  const own = manifest.graph.signature
  return [
    defaultSignature,
    ...(own === undefined || own === defaultSignature ? [] : [own]),
    ...(manifestless ? [] : [featuresSignature]),
  ]
}

/** Throws INVALID_REQUEST where a request names a signature that the model doesn't have. */
export function checkSignatureName(model: LoadedModel, name: string): void {
  const known = signatureNames(model)
  if (known.includes(name)) return
  const message = `is ${JSON.stringify(name.slice(0, 64))}, which this model doesn't have: it has ${known.join(', ')}`
  throw invalidRequest([{ path: '/signature_name', message }])
}

/** A model's outputs in this protocol: one number per row for each task, or the graph's own outputs. */
export function servingOutputs({ tensors, manifestless }: LoadedModel): OutputTensor[] {
  return manifestless ? tensors.outputs : tensors.outputs.map((output) => ({ ...output, dims: [] }))
}

/** The answer to `GET …/metadata`. */
export function describeSignatures(model: LoadedModel): ServingMetadata {
  const { name, version } = model.manifest
  const outputs = byName(servingOutputs(model).map(({ name, dims }) => info(name, 'DT_FLOAT', dims)))
  const tensors = byName(model.tensors.inputs.map(({ name, dtype, dims }) => info(name, dtypes[dtype], dims)))
  const { slots, byName: fields, entities } = model.encoder.layout
  const keys = entities?.all.filter(({ key }) => !fields.has(key)) ?? []
  const features = byName([
    ...slots.map(({ name, group, encoder: { field } }) => {
      const dims = group === undefined ? [] : [field.kind === 'vector' ? field.length : -1]
      return info(name, kinds[field.kind], dims)
    }),
    ...keys.map(({ key }) => info(key, 'DT_STRING', [])),
  ])
  const signatures = signatureNames(model).map((signature) => {
    const inputs = signature === featuresSignature && !model.manifestless ? features : tensors
    return [signature, { inputs, outputs, method_name: 'tensorflow/serving/predict' }] as const
  })
  return {
    model_spec: { name, signature_name: '', version },
    metadata: { signature_def: { signature_def: Object.fromEntries(signatures) } },
  }
}

type TensorInfo = ServingSignatureDef['inputs'][string]

const dtypes = { int32: 'DT_INT32', int64: 'DT_INT64', float32: 'DT_FLOAT', bool: 'DT_BOOL' } as const
const kinds = {
  vocabulary: 'DT_STRING',
  hash: 'DT_STRING',
  integer: 'DT_INT64',
  numeric: 'DT_FLOAT',
  vector: 'DT_FLOAT',
} as const

function info(name: string, dtype: TensorInfo['dtype'], dims: readonly number[]): TensorInfo {
  const dim = [-1, ...dims].map((size) => ({ size: String(size), name: '' }))
  return { dtype, tensor_shape: { dim, unknown_rank: false }, name }
}

function byName(tensors: TensorInfo[]): Record<string, TensorInfo> {
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor]))
}
