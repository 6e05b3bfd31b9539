import type { ActivationName, GateFunction } from '../../../schemas/architecture.ts'

/*
 * Configurations of Keras' layers, complete, as TensorFlow.js writes them. Name and `trainable` come from the builder.
 * Keys are in the order of TensorFlow.js' own files.
 */

export type LayerConfig = Record<string, unknown>

const zeros = { class_name: 'Zeros', config: {} }
const ones = { class_name: 'Ones', config: {} }

/** Keras' default range of an embedding's initial values: ±0.05. */
export const embeddingBound = 0.05

/** `l2`: penalty on the table, in training. */
export function embeddingConfig(ids: number, width: number, seed: number, l2: number): LayerConfig {
  return {
    input_dim: ids,
    output_dim: width,
    embeddings_initializer: {
      class_name: 'RandomUniform',
      config: { minval: -embeddingBound, maxval: embeddingBound, seed },
    },
    embeddings_regularizer: l2 > 0 ? { class_name: 'L1L2', config: { l1: 0, l2 } } : null,
    activity_regularizer: null,
    embeddings_constraint: null,
    mask_zero: null,
    input_length: null,
    batch_input_shape: [null, null],
  }
}

export function denseConfig(
  units: number,
  activation: ActivationName | GateFunction,
  useBias: boolean,
  seed: number,
): LayerConfig {
  return {
    units,
    activation,
    use_bias: useBias,
    kernel_initializer: {
      class_name: 'VarianceScaling',
      config: { scale: 1, mode: 'fan_avg', distribution: 'uniform', seed },
    },
    bias_initializer: zeros,
    kernel_regularizer: null,
    bias_regularizer: null,
    activity_regularizer: null,
    kernel_constraint: null,
    bias_constraint: null,
  }
}

/** Keras' defaults, written out because saved models depend on them. */
export const batchNormalizationConfig: LayerConfig = {
  axis: -1,
  momentum: 0.99,
  epsilon: 0.001,
  center: true,
  scale: true,
  beta_initializer: zeros,
  gamma_initializer: ones,
  moving_mean_initializer: zeros,
  moving_variance_initializer: ones,
  beta_regularizer: null,
  gamma_regularizer: null,
  beta_constraint: null,
  gamma_constraint: null,
}
