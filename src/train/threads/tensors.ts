import type ort from 'onnxruntime-node'
import { onnxruntime } from '../../model/base/onnxruntime.ts'

export type Tensors = Record<string, ort.Tensor>

/** A tensor that shares the memory of `data`, which must not be shared between threads. */
export const tensor = (data: Float32Array | Int32Array, dims: readonly number[]): ort.Tensor =>
  data instanceof Int32Array
    ? new onnxruntime.Tensor('int32', data, dims)
    : new onnxruntime.Tensor('float32', data, dims)

/** Calls on one thread: threads of training are threads already. */
export const sessionOptions: ort.InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
}
