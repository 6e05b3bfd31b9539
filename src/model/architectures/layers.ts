import { initializers, input, layers, regularizers, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { ActivationName, GateFunction, Normalisation } from '../../schemas/architecture.ts'
import { ModelError } from '../base/errors.ts'
import { murmur3 } from '../base/murmur3.ts'

/*
 * The parts that all architectures share. They use only standard layers, so that any TensorFlow.js program can load a saved
 * model. Every layer has a unique name, and its initial weights follow from the name and the model's seed: adding a task or an
 * expert does not change the initial weights of others.
 *
 * In shapes: B rows, F sparse fields, D dense features, d embedding dimension, T tasks.
 */

/** Inputs and outputs of a model. */
export interface ModelShape {
  /** F: columns of the input `sparse`; 0 leaves the input out. */
  sparseFields: number
  /** D: columns of the input `dense`; 0 leaves the input out. */
  denseFields: number
  /** Rows of the embedding table; ids are smaller. */
  ids: number
  /** Names of the tasks, in the order of the output's columns. */
  tasks: string[]
  /** Same seed, same initial weights. */
  seed: number
}

export interface EmbeddedInputs {
  inputs: SymbolicTensor[]
  /** [B, (F + D)·d] */
  flat: SymbolicTensor
}

/**
 * Embeds each sparse id as a row of one table and each dense feature as a learnt direction scaled by its value, concatenated.
 *
 * Inputs `sparse` int32 [B, F] and `dense` float32 [B, D].
 */
export function embedInputs(
  options: { dim_emb: number; embedding_l2: number },
  { sparseFields, denseFields, ids, seed }: ModelShape,
): EmbeddedInputs {
  const inputs: SymbolicTensor[] = []
  const parts: SymbolicTensor[] = []
  if (sparseFields > 0) {
    const sparse = input({ name: 'sparse', shape: [sparseFields], dtype: 'int32' }) // [B, F]
    const table = layers.embedding({
      name: 'embedding',
      inputDim: ids,
      outputDim: options.dim_emb,
      // Keras' default: uniform in ±0.05.
      embeddingsInitializer: initializers.randomUniform({
        minval: -0.05,
        maxval: 0.05,
        seed: seedOf('embedding', seed),
      }),
      ...(options.embedding_l2 > 0 ? { embeddingsRegularizer: regularizers.l2({ l2: options.embedding_l2 }) } : {}),
    })
    const embedded = table.apply(sparse) // [B, F, d]
    inputs.push(sparse)
    parts.push(layers.flatten({ name: 'embedding_flat' }).apply(embedded) as SymbolicTensor) // [B, F·d]
  }
  if (denseFields > 0) {
    const values = input({ name: 'dense', shape: [denseFields], dtype: 'float32' }) // [B, D]
    const embedded = dense('dense_embedding', denseFields * options.dim_emb, seed, { useBias: false })
    inputs.push(values)
    parts.push(embedded.apply(values) as SymbolicTensor) // [B, D·d]
  }
  if (parts.length === 0) throw new ModelError('INVALID_BUNDLE', 'a model needs at least one field')
  return { inputs, flat: join('features', parts) } // [B, (F + D)·d]
}

export interface MlpOptions {
  /** Layers, the linear output layer included. */
  depth: number
  /** Width of the hidden layers. */
  hidden: number
  /** Width of the output. */
  output: number
  dropout: number
  /** Of the hidden layers; default: relu. */
  activation?: ActivationName | undefined
  /** Of the hidden layers; default: batch. */
  normalisation?: Normalisation | undefined
}

/**
 * (depth − 1) × [Dense → BatchNorm → activation → Dropout], then a linear Dense.
 *
 * [B, any] → [B, output]. Dropout layers carry no seed: TensorFlow.js would draw the same mask at every step.
 */
export function mlp(
  x: SymbolicTensor,
  name: string,
  seed: number,
  { depth, hidden, output, dropout, activation = 'relu', normalisation = 'batch' }: MlpOptions,
): SymbolicTensor {
  let out = x
  for (let i = 0; i < depth - 1; i++) {
    out = dense(`${name}/dense_${i}`, hidden, seed).apply(out) as SymbolicTensor // [B, hidden]
    if (normalisation === 'batch') {
      // Keras' defaults, written out because saved models depend on them.
      const normalise = layers.batchNormalization({ name: `${name}/norm_${i}`, momentum: 0.99, epsilon: 1e-3 })
      out = normalise.apply(out) as SymbolicTensor // [B, hidden]
    }
    const activate =
      activation === 'relu'
        ? layers.reLU({ name: `${name}/relu_${i}` })
        : layers.activation({ name: `${name}/${activation}_${i}`, activation })
    out = activate.apply(out) as SymbolicTensor // [B, hidden]
    if (dropout > 0) {
      out = layers.dropout({ name: `${name}/dropout_${i}`, rate: dropout }).apply(out) as SymbolicTensor // [B, hidden]
    }
  }
  return dense(`${name}/output`, output, seed).apply(out) as SymbolicTensor // [B, output]
}

/** A Dense layer with Keras' default initialisation: Glorot uniform kernel, zero bias. */
export function dense(
  name: string,
  units: number,
  seed: number,
  options: { useBias?: boolean; activation?: GateFunction } = {},
) {
  return layers.dense({
    name,
    units,
    kernelInitializer: initializers.glorotUniform({ seed: seedOf(name, seed) }),
    biasInitializer: initializers.zeros(),
    ...options,
  })
}

/** Concatenates columns: [B, a], [B, b], … → [B, a + b + …], in a layer of this name even for a single input. */
export function join(name: string, parts: SymbolicTensor[]): SymbolicTensor {
  // Concatenate needs at least two inputs.
  const layer =
    parts.length > 1 ? layers.concatenate({ name, axis: -1 }) : layers.activation({ name, activation: 'linear' })
  return layer.apply(parts.length > 1 ? parts : parts[0]!) as SymbolicTensor
}

/** Stacks vectors of one width: n × [B, w] → [B, n, w]. */
export function stack(name: string, parts: SymbolicTensor[]): SymbolicTensor {
  const width = parts[0]!.shape[1]!
  const row =
    parts.length > 1
      ? (layers.concatenate({ name: `${name}/row`, axis: -1 }).apply(parts) as SymbolicTensor)
      : parts[0]! // [B, n·w]
  return layers.reshape({ name, targetShape: [parts.length, width] }).apply(row) as SymbolicTensor // [B, n, w]
}

/** A layer's seed. Never 0, which TensorFlow.js takes as no seed. */
function seedOf(name: string, seed: number): number {
  return murmur3(name, seed) || 1
}
