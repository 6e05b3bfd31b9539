import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'
import util from 'node:util'
import type * as Core from '@tensorflow/tfjs-core'
import type * as Layers from '@tensorflow/tfjs-layers'
import { product } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'

/** `native` is libtensorflow by @tensorflow/tfjs-node; the others run anywhere. Fastest first. */
export type TensorFlowBackend = 'native' | 'wasm' | 'cpu'

export interface TensorFlow {
  /** @tensorflow/tfjs-core: tensors, gradients, optimisers. */
  tf: typeof Core
  /** @tensorflow/tfjs-layers: layers and layers models. */
  layers: typeof Layers
  backend: TensorFlowBackend
  /** Makes this backend the thread's current one again, where another has become it. */
  activate(): Promise<void>
}

/**
 * TensorFlow.js with a working backend: the one wanted, else the fastest that loads here.
 *
 * The current backend belongs to the thread: a request for another changes it for all of TensorFlow.js in it, and
 * tensors and models made before stay with the backend that made them.
 * Rejects with ENGINE_UNAVAILABLE, with each backend's reason, if none works.
 */
export async function prepareTensorFlow(wanted?: TensorFlowBackend): Promise<TensorFlow> {
  const [tf, layers] = await Promise.all([import('@tensorflow/tfjs-core'), import('@tensorflow/tfjs-layers')]).catch(
    (cause) => {
      throw new ModelError('ENGINE_UNAVAILABLE', reasonOf(cause), { cause })
    },
  )
  const reasons: string[] = []
  for (const backend of wanted ? [wanted] : (['native', 'wasm', 'cpu'] as const)) {
    try {
      const name = await start[backend](tf)
      const activate = async () => {
        if (tf.getBackend() === name) return
        if (!(await tf.setBackend(name)))
          throw new ModelError('ENGINE_UNAVAILABLE', `the backend ${name} does not start`)
      }
      await activate()
      // Prod mode keeps the cpu backend from advertising tfjs-node on standard error.
      tf.enableProdMode()
      return { tf, layers, backend, activate }
    } catch (error) {
      reasons.push(`${backend}: ${reasonOf(error).trim().split('\n')[0]}`)
    }
  }
  throw new ModelError('ENGINE_UNAVAILABLE', `TensorFlow.js does not work here (${reasons.join('; ')})`)
}

/** Each loads a backend and returns TensorFlow.js' name for it. */
const start: Record<TensorFlowBackend, (tf: typeof Core) => Promise<string>> = {
  async native() {
    // Removed in Node 23, called by tfjs-node 4.22.
    const legacy = util as unknown as Record<string, unknown>
    legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined
    legacy.isArray ??= Array.isArray
    // Else libtensorflow lists the machine's vector instructions on standard error.
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
    await import('@tensorflow/tfjs-node')
    return 'tensorflow'
  },
  async wasm(tf) {
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(dirname(main) + sep)
    wasm.setThreadsCount(1)
    registerSegmentSum(tf, 'wasm')
    return 'wasm'
  },
  async cpu(tf) {
    await import('@tensorflow/tfjs-backend-cpu')
    registerSegmentSum(tf, 'cpu')
    return 'cpu'
  },
}

type Tf = typeof Core
type Values = Float32Array | Int32Array

/**
 * Methods of the wasm backend that the kernel needs: `typedArrayFromHeap` is a view, valid until the next allocation.
 */
interface WasmBackend {
  makeOutput(shape: number[], dtype: string): Core.TensorInfo
  typedArrayFromHeap(tensor: Core.TensorInfo): Values
}

/** Methods of the cpu backend that the kernel needs. */
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
export function registerSegmentSum(tf: Tf, backendName: 'wasm' | 'cpu'): void {
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
