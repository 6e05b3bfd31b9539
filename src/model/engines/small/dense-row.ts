import { compileKernel } from '../../base/wasm-kernel.ts'

/*
 * The kernel of small graphs, in WebAssembly: a call of it takes nanoseconds, where one of ONNX Runtime takes microseconds.
 */

/** Memory of a small graph; both views show all of it. */
export interface Heap {
  floats: Float32Array
  integers: Int32Array
  denseRow: DenseRow
}

/** `out` [n] = max(`x` [k] · `w` [k, n] + `bias` [n], `floor`). Addresses are in bytes. */
export type DenseRow = (x: number, k: number, w: number, n: number, bias: number, floor: number, out: number) => void

/** Zeros. Throws RangeError where the system refuses the memory. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return {
    floats: new Float32Array(buffer),
    integers: new Int32Array(buffer),
    denseRow: exports.denseRow as DenseRow,
  }
}

/** dense-row.wat, compiled. */
export const kernelBytes =
  'AGFzbQEAAAABCwFgB39/f39/fX8AAhEBBXNtYWxsBm1lbW9yeQIAAAMCAQAHDAEIZGVuc2VSb3cAAAq1BQGyBQUBewV/AXsBfQh7IAX9EyEHIAAgAUECdGohCCADQQJ0IQkCQANAIApBgAFqIAlLDQEgBCAKav0ABAAhDyAEIApq/QAEECEQIAQgCmr9AAQgIREgBCAKav0ABDAhEiAEIApq/QAEQCETIAQgCmr9AARQIRQgBCAKav0ABGAhFSAEIApq/QAEcCEWIAAhCyACIApqIQwCQANAIAsgCE8NASAL/QkCACENIA8gDSAM/QAEAP3mAf3kASEPIBAgDSAM/QAEEP3mAf3kASEQIBEgDSAM/QAEIP3mAf3kASERIBIgDSAM/QAEMP3mAf3kASESIBMgDSAM/QAEQP3mAf3kASETIBQgDSAM/QAEUP3mAf3kASEUIBUgDSAM/QAEYP3mAf3kASEVIBYgDSAM/QAEcP3mAf3kASEWIAtBBGohCyAMIAlqIQwMAAsLIAYgCmogDyAH/esB/QsEACAGIApqIBAgB/3rAf0LBBAgBiAKaiARIAf96wH9CwQgIAYgCmogEiAH/esB/QsEMCAGIApqIBMgB/3rAf0LBEAgBiAKaiAUIAf96wH9CwRQIAYgCmogFSAH/esB/QsEYCAGIApqIBYgB/3rAf0LBHAgCkGAAWohCgwACwsCQANAIApBEGogCUsNASAEIApq/QAEACEPIAAhCyACIApqIQwCQANAIAsgCE8NASAPIAv9CQIAIAz9AAQA/eYB/eQBIQ8gC0EEaiELIAwgCWohDAwACwsgBiAKaiAPIAf96wH9CwQAIApBEGohCgwACwsCQANAIAogCU8NASAEIApqKgIAIQ4gACELIAIgCmohDAJAA0AgCyAITw0BIA4gCyoCACAMKgIAlJIhDiALQQRqIQsgDCAJaiEMDAALCyAGIApqIAUgDiAOIAVdGzgCACAKQQRqIQoMAAsLCw=='

const createKernel = compileKernel(kernelBytes, 'small')
