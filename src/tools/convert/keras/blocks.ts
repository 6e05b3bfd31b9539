import { ModelError } from '../../../base/errors.ts'
import { nth } from '../../../model/graph/architectures/keras-class.ts'
import type { Hdf5File, Tensor } from './hdf5.ts'

/** A weight and its path. */
export interface Found extends Tensor {
  path: string
}

/** The building blocks of the reference's classes, those of each kind in order. */
export interface Blocks {
  embedding: { sparse?: Found | undefined; dense?: Found | undefined }
  mlps: MlpLayer[][]
  /** Kernels. */
  gates: Found[]
  transfers: { kernel: Found; bias: Found }[]
  attention: { query?: Found; key?: Found; value?: Found }
}

/** One layer of an MLP: its weights by name (`kernel`, `bias`), and those of its normalisation (`gamma`, …). */
export type MlpLayer = Record<string, Found>

/**
 * Lists of MLPs in the reference's classes, in the order of a model: those that read the embedding come first. `layers`
 * contains what Keras found there first: experts in Keras 2, towers in Keras 3.
 */
const containers = ['experts', 'shared_encoder', 'layers', 'towers', 'proj_heads']

const normalisation = ['gamma', 'beta', 'moving_mean', 'moving_variance']

/**
 * Finds the building blocks in a file of weights, a `.weights.h5` of Keras 2 or 3 or a legacy HDF5 file, by place and
 * order: Keras numbers names per process, so they do not identify a weight. Throws INVALID_BUNDLE, naming file and
 * path, for a weight that belongs to no block.
 */
export function blocksOf(weights: Hdf5File): Blocks {
  const layers = weights.attributes.get('')?.layer_names
  return Array.isArray(layers) ? legacyBlocks(weights, layers) : positionalBlocks(weights)
}

const noBlocks = (): Blocks => ({ embedding: {}, mlps: [], gates: [], transfers: [], attention: {} })

function positionalBlocks({ file, tensors }: Hdf5File): Blocks {
  const blocks = noBlocks()
  const mlps = new Map<string, Map<number, MlpLayer>>()
  const denses = new Map<string, Found[]>()
  for (const [path, tensor] of tensors) {
    const found = { ...tensor, path }
    const embedded = /(?:^|\/)(sparse|dense)_embedding\/vars\/0$/.exec(path)
    const inMlp = /^(.+)\/layers\/(dense|batch_normalization)(?:_(\d+))?\/vars\/(\d+)$/.exec(path)
    const attended = /(?:^|\/)(query|key|value)\/vars\/0$/.exec(path)
    const dense = /^((?:layers|gates)\/dense(?:_\d+)?|gate)\/vars\/([01])$/.exec(path)
    if (embedded) blocks.embedding[embedded[1] as 'sparse' | 'dense'] = found
    else if (inMlp && rankOf(inMlp[1]!) !== undefined) {
      const [, mlp, kind, index = '0', place] = inMlp
      const name = (kind === 'dense' ? ['kernel', 'bias'] : normalisation)[Number(place)]
      if (name === undefined) throw unexpected(file, path)
      const layers = mlps.get(mlp!) ?? new Map<number, MlpLayer>()
      mlps.set(mlp!, layers)
      layers.set(Number(index), { ...layers.get(Number(index)), [name]: found })
    } else if (attended) blocks.attention[attended[1] as 'query' | 'key' | 'value'] = found
    else if (dense) {
      const parts = denses.get(dense[1]!) ?? []
      denses.set(dense[1]!, parts)
      parts[Number(dense[2])] = found
    } else throw unexpected(file, path)
  }
  const inOrder = [...mlps].sort(([a], [b]) => rankOf(a)! - rankOf(b)! || indexOf(a) - indexOf(b))
  blocks.mlps = inOrder.map(([path, layers]) => consecutive(layers, file, path))
  for (const [path, [kernel, bias]] of [...denses].sort(([a], [b]) => indexOf(a) - indexOf(b))) {
    if (kernel === undefined) throw new ModelError('INVALID_BUNDLE', `${file} lacks the weight /${path}/vars/0`)
    if (bias === undefined) blocks.gates.push(kernel)
    else blocks.transfers.push({ kernel, bias })
  }
  return blocks
}

/** A legacy file lists its layers and their weights in the model's order, trainable weights before the others. */
function legacyBlocks({ file, tensors, attributes }: Hdf5File, layers: string[]): Blocks {
  const blocks = noBlocks()
  const listed = new Set<string>()
  for (const layer of layers) {
    const names = [attributes.get(layer)?.weight_names ?? []].flat()
    const byOwner = new Map<string, MlpLayer>()
    for (const name of names) {
      const path = `${layer}/${name}`
      const tensor = tensors.get(path)
      if (tensor === undefined)
        throw new ModelError('INVALID_BUNDLE', `${file} lacks the weight /${path}, which it lists`)
      listed.add(path)
      const at = path.lastIndexOf('/')
      const part = path.slice(at + 1).replace(/:\d+$/, '')
      byOwner.set(path.slice(0, at), { ...byOwner.get(path.slice(0, at)), [part]: { ...tensor, path } })
    }
    addLegacyBlock(blocks, [...byOwner.values()])
  }
  for (const path of tensors.keys()) if (!listed.has(path)) throw unexpected(file, path)
  return blocks
}

function addLegacyBlock(blocks: Blocks, owners: MlpLayer[]): void {
  const [first, second] = owners
  const table = owners.find(({ embeddings }) => embeddings)
  if (first === undefined) return
  if (table) blocks.embedding = { sparse: table.embeddings, dense: owners.find(({ kernel }) => kernel)?.kernel }
  else if (second === undefined && first.kernel && !first.bias) blocks.gates.push(first.kernel)
  else {
    const layers: MlpLayer[] = []
    for (const owner of owners) {
      // A normalisation belongs to the preceding layer.
      if (owner.kernel || layers.length === 0) layers.push(owner)
      else Object.assign(layers.at(-1)!, owner)
    }
    blocks.mlps.push(layers)
  }
}

function consecutive(layers: Map<number, MlpLayer>, file: string, path: string): MlpLayer[] {
  return Array.from({ length: layers.size }, (_, i) => {
    const layer = layers.get(i)
    if (layer?.kernel === undefined)
      throw new ModelError('INVALID_BUNDLE', `${file} lacks the weight /${path}/layers/${nth('dense', i)}/vars/0`)
    return layer
  })
}

function unexpected(file: string, path: string): ModelError {
  if (/layer_normalization/.test(path))
    return new ModelError(
      'UNSUPPORTED_GRAPH',
      `${file}: the weight /${path} belongs to a LayerNormalization, which imports of these classes do not support; export the model as a SavedModel or as ONNX, and write its manifest with multigate init`,
    )
  return new ModelError('INVALID_BUNDLE', `${file}: the weight /${path} belongs to none of the supported classes`)
}

/** Rank of the list that contains an MLP. */
function rankOf(path: string): number | undefined {
  const rank = containers.indexOf(path.split('/')[0]!)
  return rank < 0 || path.split('/').length > 2 ? undefined : rank
}

/** 10 of `layers/mlp_10`. */
function indexOf(path: string): number {
  return Number(/_(\d+)$/.exec(path)?.[1] ?? 0)
}
