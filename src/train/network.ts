import type { Scalar, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { EncodedRows } from '../data/encode-rows.ts'
import type { Random } from '../data/random.ts'
import { concat } from '../model/base/concat.ts'
import type { TensorFlow } from '../model/engines/tensorflow/tensorflow-backend.ts'
import type { TrainBatch } from './batches.ts'

/** Rows per call in inference. */
const predictRows = 8192

/** A network in training. */
export interface Network {
  /** Takes one step of Adam on a batch; returns the loss before it, with regularisation. */
  step(batch: TrainBatch): number
  /** float32 [rows, tasks], in inference mode (moving statistics, no dropout). */
  logits(rows: EncodedRows): Float32Array
  /** Copies of all weights, moving statistics included, for `restore`. */
  snapshot(): Float32Array[]
  restore(weights: Float32Array[]): void
  dispose(): void
}

/**
 * Loss of a step: Σ_t weight_t · mean over the rows in task t's sample space of the binary cross-entropy, computed
 * from logits as softplus(z) − z·y, which neither overflows nor loses digits; plus the layers' regularisation.
 *
 * `random` seeds the masks of dropout layers at each step.
 */
export function createNetwork(
  { tf, layers }: TensorFlow,
  model: LayersModel,
  learningRate: number,
  random: Random,
): Network {
  const network = layers.model({ inputs: model.inputs, outputs: model.getLayer('logits').output })
  // `read` returns a layer's variable, which is a protected property; training needs it, not a copy of its value.
  const variables = model.trainableWeights.map((weight) => weight.read() as Variable)
  const dropouts = model.layers.filter((layer) => layer.getClassName() === 'Dropout') as unknown as { seed: number }[]
  const optimizer = tf.train.adam(learningRate)

  /** Tensors in the order of the model's inputs. */
  const inputs = (rows: number, sparse: Int32Array, dense: Float32Array): Tensor[] =>
    model.inputNames.map((name) =>
      name === 'sparse'
        ? tf.tensor2d(sparse, [rows, sparse.length / rows], 'int32')
        : tf.tensor2d(dense, [rows, dense.length / rows], 'float32'),
    )

  return {
    step({ rows, sparse, dense, labels, coefficients }) {
      for (const layer of dropouts) layer.seed = 1 + random.integer(2 ** 31 - 1)
      return tf.tidy(() => {
        const x = inputs(rows, sparse, dense)
        const y = tf.tensor2d(labels, [rows, labels.length / rows]) // [B, T]
        const c = tf.tensor2d(coefficients, y.shape) // [B, T]
        const { value, grads } = tf.variableGrads(() => {
          const z = network.apply(x, { training: true }) as Tensor2D // [B, T]
          const data = tf.sum(tf.mul(c, tf.sub(tf.softplus(z), tf.mul(z, y)))) as Scalar
          return model.calculateLosses().reduce((sum, loss) => tf.add(sum, loss), data)
        }, variables)
        optimizer.applyGradients(Object.entries(grads).map(([name, tensor]) => ({ name, tensor })))
        return value.dataSync()[0]!
      })
    },
    logits({ rows, sparse, dense, sparseFields, denseFields }) {
      const parts: Float32Array[] = []
      for (let start = 0; start < rows; start += predictRows) {
        const end = Math.min(rows, start + predictRows)
        const part = tf.tidy(() => {
          const x = inputs(
            end - start,
            sparse.subarray(start * sparseFields, end * sparseFields),
            dense.subarray(start * denseFields, end * denseFields),
          )
          return (network.apply(x, { training: false }) as Tensor2D).dataSync() as Float32Array
        })
        parts.push(part.slice())
      }
      return concat(Float32Array, parts)
    },
    snapshot: () => model.weights.map((weight) => Float32Array.from(weight.read().dataSync())),
    restore(weights) {
      tf.tidy(() => {
        model.weights.forEach((weight, index) => {
          weight.write(tf.tensor(weights[index]!, weight.read().shape))
        })
      })
    },
    dispose() {
      optimizer.dispose()
      model.dispose()
    },
  }
}
