import { compileKernel } from '../../../base/wasm-kernel.ts'
import kernel from './adam.wat'

/** Adam (D. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015) with its usual decay rates. */
export const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 } as const

/** The factors that depend on the number of steps taken, `step` included, which counts from 1. */
export interface StepScale {
  /** Learning rate ÷ (1 − β1ᵗ). */
  rate: number
  /** 1 ÷ √(1 − β2ᵗ) */
  scale: number
  /** Share of every learning rate, by the schedule. */
  factor: number
  /** Share of the weights that is kept before the step, by the decay. */
  kept: number
}

/** Learning rates over a run. */
export interface Rates {
  /** Adam's. */
  learningRate: number
  /** Steps in which the rates rise from 0; default: 0. */
  warmUp?: number
  /** Steps of the whole run, at whose end half a cosine has brought the rates to 0; undefined: they stay. */
  cosine?: number | undefined
  /**
   * Decay of matrices, decoupled from the loss (I. Loshchilov and F. Hutter, ICLR 2019): share per step and learning
   * rate; default: 0.
   */
  weightDecay?: number
}

export function stepScale({ learningRate, warmUp = 0, cosine, weightDecay = 0 }: Rates, step: number): StepScale {
  const risen = Math.min(1, step / Math.max(1, warmUp))
  const fallen = cosine === undefined ? 1 : (1 + Math.cos((Math.PI * Math.min(step - 1, cosine)) / cosine)) / 2
  const factor = risen * fallen
  const rate = factor * learningRate
  return {
    rate: rate / (1 - adam.beta1 ** step),
    scale: 1 / Math.sqrt(1 - adam.beta2 ** step),
    factor,
    kept: 1 - rate * weightDecay,
  }
}

/** The kernel reads four numbers at a time. */
const vector = 4

/** Weights, their moments and gradients side by side, in memory that ONNX Runtime and the kernel (adam.wat) share. */
export interface AdamMemory {
  /** `size` floats each. */
  weights: Float32Array
  first: Float32Array
  second: Float32Array
  gradients: Float32Array
  /** Steps the first `count` weights, a multiple of 4. */
  step(count: number, scale: StepScale): void
}

/** Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createAdamMemory(size: number): AdamMemory {
  const floats = Math.ceil(size / vector) * vector
  const { buffer, exports } = createKernel(floats * 4 * 4)
  const step = exports.step as Kernel
  const part = (index: number) => new Float32Array(buffer, index * floats * 4, size)
  const [weights, first, second, gradients] = [part(0), part(1), part(2), part(3)]
  return {
    weights,
    first,
    second,
    gradients,
    step(count, { rate, scale }) {
      const bytes = count * 4
      if (count % vector !== 0 || count > floats) throw new RangeError(`${count} weights are no multiple of ${vector}`)
      const { beta1, beta2, epsilon } = adam
      const at = (index: number) => index * floats * 4
      step(at(0), at(1), at(2), at(3), bytes, 1 - beta1, 1 - beta2, rate, scale, epsilon)
    },
  }
}

/** Addresses and sizes are in bytes. */
type Kernel = (
  weights: number,
  first: number,
  second: number,
  gradients: number,
  bytes: number,
  keep1: number,
  keep2: number,
  rate: number,
  scale: number,
  epsilon: number,
) => void

const createKernel = compileKernel(kernel, 'adam')
