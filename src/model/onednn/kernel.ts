import { compileKernel } from '../base/wasm-kernel.ts'

/** Memory of a program, and the kernels that compute in it. Addresses and strides are in bytes. */
export interface Heap {
  buffer: ArrayBuffer
  /**
   * Per row and task, `out` = max(Σ gates·experts, `floor`): gates [rows, tasks, count], `experts` a list of addresses and strides, and
   * `bytes` of each expert's row, a whole number of 16.
   */
  mix(
    rows: number,
    tasks: number,
    experts: number,
    count: number,
    gates: number,
    gateStride: number,
    out: number,
    outStride: number,
    bytes: number,
    floor: number,
  ): void
  /** Per row, softmax of `runs` runs of `count` numbers, at least one. */
  softmax(
    rows: number,
    runs: number,
    count: number,
    from: number,
    fromStride: number,
    out: number,
    outStride: number,
  ): void
}

/** Zeros. Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return { buffer, mix: exports.mix as Heap['mix'], softmax: exports.softmax as Heap['softmax'] }
}

/** kernel.wat, compiled. */
export const kernelBytes =
  'AGFzbQEAAAABHQNgCn9/f39/f39/f30AYAF7AXtgB39/f39/f38AAhIBBm9uZWRubgZtZW1vcnkCAAADBAMAAQIHEQIDbWl4AAAHc29mdG1heAACCo0JA7cEBgF7Bn8BewN/BHsBfyAJ/RMhCiAIQUBxIRkgAiADQQN0aiEPAkADQCALIABPDQFBACEMIAQhEyAGIRQCQANAIAwgAU8NAUEAIQ0CQANAIA0gGU8NAf0MAAAAAAAAAAAAAAAAAAAAACEV/QwAAAAAAAAAAAAAAAAAAAAAIRb9DAAAAAAAAAAAAAAAAAAAAAAhF/0MAAAAAAAAAAAAAAAAAAAAACEYIBMhEiACIQ4CQANAIA4gD08NASAS/QkCACERIA0gDigCACALIA4oAgRsamohECAVIBEgEP0ABAD95gH95AEhFSAWIBEgEP0ABBD95gH95AEhFiAXIBEgEP0ABCD95gH95AEhFyAYIBEgEP0ABDD95gH95AEhGCASQQRqIRIgDkEIaiEODAALCyAUIA1qIBUgCv3rAf0LBAAgFCANaiAWIAr96wH9CwQQIBQgDWogFyAK/esB/QsEICAUIA1qIBggCv3rAf0LBDAgDUHAAGohDQwACwsCQANAIA0gCE8NAf0MAAAAAAAAAAAAAAAAAAAAACEVIBMhEiACIQ4CQANAIA4gD08NASANIA4oAgAgCyAOKAIEbGpqIRAgFSAS/QkCACAQ/QAEAP3mAf3kASEVIBJBBGohEiAOQQhqIQ4MAAsLIBQgDWogFSAK/esB/QsEACANQRBqIQ0MAAsLIAxBAWohDCATIANBAnRqIRMgFCAIaiEUDAALCyALQQFqIQsgBCAFaiEEIAYgB2ohBgwACwsL9wEBA3sgAEOama7C/RP96wEhAiACQzuquD/9E/3mAf1qIQEgAiABQwCAMT/9E/3mAf3lASECIAIgAUODgF45/RP95gH95AEhAkNnaVA5/RMhAyADIAL95gFDzkO3Ov0T/eQBIQMgAyAC/eYBQwiJCDz9E/3kASEDIAMgAv3mAUPBqSo9/RP95AEhAyADIAL95gFDqqoqPv0T/eQBIQMgAyAC/eYBQwAAAD/9E/3kASEDIAMgAv3mASAC/eYBIAL95AEhAyADQwAAgD/9E/3kASEDIAMgAf34AUH/AP0R/a4BQRf9qwH95gEgAEOama7C/RP9Q/1N/U4L2AIDBX8CfQF7AkADQCAARQ0BIAMhCSAFIQogASEHAkADQCAHRQ0BIAkgAkECdGohCyAJKgIAIQwgCSEIA0AgDCAIKgIAlyEMIAhBBGohCCAIIAtJDQALQwAAAAAhDSAJIQgCQANAIAhBEGogC0sNASAI/QAEACAM/RP95QEQASEOIAogCCAJa2ogDv0LBAAgDSAO/R8AIA79HwGSIA79HwIgDv0fA5KSkiENIAhBEGohCAwACwsCQANAIAggC08NASAIKgIAIAyT/RMQASEOIAogCCAJa2ogDv0fADgCACANIA79HwCSIQ0gCEEEaiEIDAALCyAKIAJBAnRqIQtDAACAPyANlSENAkADQCAKIAtPDQEgCiAKKgIAIA2UOAIAIApBBGohCgwACwsgCSACQQJ0aiEJIAdBAWshBwwACwsgAyAEaiEDIAUgBmohBSAAQQFrIQAMAAsLCw=='

const createKernel = compileKernel(kernelBytes, 'onednn')
