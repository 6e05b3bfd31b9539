import type * as Core from '@tensorflow/tfjs-core'
import { product } from '../../base/dims.ts'
import { ModelError } from '../../base/errors.ts'

type TensorFlow = typeof Core
type Values = Float32Array | Int32Array

/** What the kernel needs of the wasm backend: `typedArrayFromHeap` is a view, valid until the next allocation. */
interface WasmBackend {
  makeOutput(shape: number[], dtype: string): Core.TensorInfo
  typedArrayFromHeap(tensor: Core.TensorInfo): Values
}

/** What the kernel needs of the cpu backend. */
interface CpuBackend {
  readSync(dataId: object): Values
  makeTensorInfo(shape: number[], dtype: string, values: Values): Core.TensorInfo
}

const kernels: Record<'wasm' | 'cpu', Core.KernelFunc> = {
  wasm({ inputs, attrs, backend }) {
    const wasm = backend as unknown as WasmBackend
    const { x, segmentIds, shape } = argumentsOf(inputs, attrs)
    const output = wasm.makeOutput(shape, x.dtype)
    const values = wasm.typedArrayFromHeap(output)
    values.fill(0)
    addSegments(wasm.typedArrayFromHeap(x), wasm.typedArrayFromHeap(segmentIds), values, shape[0]!)
    return output
  },
  cpu({ inputs, attrs, backend }) {
    const cpu = backend as unknown as CpuBackend
    const { x, segmentIds, shape } = argumentsOf(inputs, attrs)
    const size = product(shape)
    const values = x.dtype === 'int32' ? new Int32Array(size) : new Float32Array(size)
    addSegments(cpu.readSync(x.dataId), cpu.readSync(segmentIds.dataId), values, shape[0]!)
    return cpu.makeTensorInfo(shape, x.dtype, values)
  },
}

/**
 * Gives the backends `wasm` and `cpu` a fast UnsortedSegmentSum, the gradient of an embedding.
 *
 * The wasm backend has none, and the cpu backend's goes over all rows once per segment. Idempotent.
 */
export function registerSegmentSum(tf: TensorFlow, backendName: 'wasm' | 'cpu'): void {
  const kernelName = 'UnsortedSegmentSum'
  const kernelFunc = kernels[backendName]
  const present = tf.getKernel(kernelName, backendName)
  if (present?.kernelFunc === kernelFunc) return
  if (present) tf.unregisterKernel(kernelName, backendName)
  tf.registerKernel({ kernelName, backendName, kernelFunc })
}

/** x [N, …], segmentIds [N] → shape [segments, …]. */
function argumentsOf(inputs: Core.NamedTensorInfoMap, attrs: Core.NamedAttrMap | undefined) {
  const { x, segmentIds } = inputs as { x: Core.TensorInfo; segmentIds: Core.TensorInfo }
  const { numSegments } = attrs as unknown as Core.UnsortedSegmentSumAttrs
  return { x, segmentIds, shape: [numSegments, ...x.shape.slice(1)] }
}

/** Adds row n of `x` to row `ids[n]` of `out`. A negative id adds to none, as in TensorFlow. */
function addSegments(x: Values, ids: Values, out: Values, segments: number): void {
  const width = x.length / ids.length
  for (let n = 0; n < ids.length; n++) {
    const id = ids[n]!
    if (id < 0) continue
    if (id >= segments) throw new ModelError('MODEL_FAILED', `segment ${id} is not below ${segments}`)
    for (let i = 0, from = n * width, to = id * width; i < width; i++) out[to + i]! += x[from + i]!
  }
}
