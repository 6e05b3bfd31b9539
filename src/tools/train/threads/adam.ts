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
}

export function stepScale(learningRate: number, step: number): StepScale {
  return { rate: learningRate / (1 - adam.beta1 ** step), scale: 1 / Math.sqrt(1 - adam.beta2 ** step) }
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
