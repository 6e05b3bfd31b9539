import h5wasm from 'h5wasm'
import { ModelError } from '../../../base/errors.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { type ClassShape, classWeights } from './class-weights.ts'

export type KerasVersion = 2 | 3

/** Weights by multigate's names, `<layer>/<weight>`, row-major float32. */
export type WeightValues = (name: string) => Float32Array

/**
 * Writes a `.weights.h5` that `load_weights` of the reference's class loads, once the class is created with the same
 * arguments and built. Weights have the places where Keras 2.15 or Keras 3 expects them. `shape.ids`: rows of the
 * embedding table.
 *
 * Throws UNSUPPORTED_GRAPH if the class does not build on that Keras, or if the model lacks something that it needs.
 */
export async function writeKerasWeights(
  options: ArchitectureOptions,
  shape: ClassShape,
  values: WeightValues,
  version: KerasVersion,
): Promise<Uint8Array> {
  if (shape.sparseFields === 0 || shape.denseFields === 0)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `the reference's classes need both sparse and dense inputs; this model has ${shape.sparseFields === 0 ? 'no sparse' : 'no numeric'} fields`,
    )
  if (options.normalisation === 'none')
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      "the reference's classes normalise their hidden layers; this model doesn't: use --to tfjs or --to onnx",
    )
  if (options.wide)
    throw new ModelError('UNSUPPORTED_GRAPH', "the reference's classes have no wide part: use --to tfjs or --to onnx")
  const { FS } = await h5wasm.ready
  if (FS === null) throw new Error('HDF5 has no file system here')
  const path = 'weights.h5'
  const places: string[] = []
  const file = new h5wasm.File(path, 'w')
  try {
    for (const { name, shape: dims, keras2, keras3 } of classWeights(options, shape)) {
      const place = version === 2 ? keras2 : keras3
      if (place === undefined)
        throw new ModelError(
          'UNSUPPORTED_GRAPH',
          `the reference's ${options.name} does not build on Keras 3: use --keras 2`,
        )
      write(file, place, dims, values(name))
      places.push(place)
    }
    for (const place of weightless(places, version)) group(file, `${place}/vars`)
  } finally {
    file.close()
  }
  try {
    return FS.readFile(path) as Uint8Array
  } finally {
    FS.unlink(path)
  }
}

/**
 * Layers without weights, for which Keras 2 still expects a group. Extra groups, such as those of an absent dropout,
 * are never read.
 */
function weightless(places: string[], version: KerasVersion): Set<string> {
  const below = version === 2 ? 'layers/' : ''
  const embedding = version === 2 ? 'layers/multi_input_embedding' : 'embedding'
  const found = new Set(['.', `${below}flatten`, embedding])
  for (const place of places) {
    const [, mlp, index] = /^(.+)\/layers\/batch_normalization(_\d+)?\/vars\/0$/.exec(place) ?? []
    if (mlp !== undefined) for (const layer of ['re_lu', 'dropout']) found.add(`${mlp}/layers/${layer}${index ?? ''}`)
    const [, owner] = /^(.+)\/layers\/dense\/vars\/0$/.exec(place) ?? []
    if (owner !== undefined) found.add(owner)
    if (place === 'layers/ait/query/vars/0') found.add('layers/ait').add('layers/ait/attention')
  }
  return found
}

function write(file: InstanceType<typeof h5wasm.File>, place: string, shape: number[], data: Float32Array): void {
  const at = place.lastIndexOf('/')
  group(file, place.slice(0, at)).create_dataset({ name: place.slice(at + 1), data, shape, dtype: '<f4' })
}

/** Opens a group; creates it and its parents if needed. */
function group(file: InstanceType<typeof h5wasm.File>, place: string): InstanceType<typeof h5wasm.Group> {
  let at: InstanceType<typeof h5wasm.Group> = file
  for (const name of place.split('/').filter((part) => part !== '.')) {
    const known = at.keys().includes(name) ? at.get(name) : at.create_group(name)
    at = known as InstanceType<typeof h5wasm.Group>
  }
  return at
}
