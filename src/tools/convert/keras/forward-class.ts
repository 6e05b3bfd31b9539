import type { RowNetwork } from '../../../model/graph/architectures/keras-class.ts'
import { assumedOptions } from './assumptions.ts'
import { classOf } from './class-weights.ts'
import { activate, multiply } from './operations.ts'
import { plainTasks, type RecognisedClass } from './recognise.ts'

/** Keras' default for BatchNormalization. */
const epsilon = 1e-3

const vectors = ['gamma', 'beta', 'moving_mean', 'moving_variance']

/**
 * Computes one row with a model of the reference's classes, in float64, directly from the weights. The converted layers
 * model and its ONNX graph are compared with it.
 *
 * `sparse` [F] rows of the embedding table, `dense` [D] → probabilities [T].
 */
export function forwardClass(model: RecognisedClass, sparse: ArrayLike<number>, dense: Float64Array): Float64Array {
  const { options, weights } = model
  const { activation, normalisation, gate_function: gateFunction } = { ...assumedOptions, ...options }
  const of = (name: string) => weights.get(name)!.values
  const line = (x: Float64Array, layer: string) => {
    const kernel = weights.get(`${layer}/kernel`)!
    return multiply(x, kernel.values, kernel.shape[1]!, weights.get(`${layer}/bias`)?.values)
  }
  const normalise = (x: Float64Array, norm: string) => {
    if (normalisation === 'none') return x
    const [gamma, beta, mean, variance] = vectors.map((vector) => of(`${norm}/${vector}`))
    return x.map((value, j) => ((value - mean![j]!) * gamma![j]!) / Math.sqrt(variance![j]! + epsilon) + beta![j]!)
  }
  const mlp = (x: Float64Array, name: string) => {
    let out = x
    for (let i = 0; weights.has(`${name}/dense_${i}/kernel`); i++)
      out = activate(normalise(line(out, `${name}/dense_${i}`), `${name}/norm_${i}`), out.length, activation)
    return line(out, `${name}/output`)
  }
  const mix = (gate: string, experts: Float64Array[]) => {
    const shares = activate(line(flat, gate), experts.length, gateFunction)
    return experts[0]!.map((_, i) => experts.reduce((sum, expert, e) => sum + shares[e]! * expert[i]!, 0))
  }

  const d = options.dim_emb
  const flat = new Float64Array((model.sparseFields + model.denseFields) * d)
  for (let f = 0; f < model.sparseFields; f++)
    flat.set(of('embedding/embeddings').subarray(sparse[f]! * d, (sparse[f]! + 1) * d), f * d)
  if (model.denseFields > 0) flat.set(line(dense, 'dense_embedding'), model.sparseFields * d)

  const row: RowNetwork = { flat, mlp, dense: line, mix, softmax: (x) => activate(x, x.length, 'softmax') }
  const logits = classOf(options.name).forward(row, options, plainTasks(model.tasks))
  return Float64Array.from(logits, (logit) => activate(logit, 1, 'sigmoid')[0]!)
}
