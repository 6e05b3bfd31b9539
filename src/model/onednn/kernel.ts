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
  /** Per row, a + b, `bytes` bytes of float32. */
  add(
    rows: number,
    a: number,
    aStride: number,
    b: number,
    bStride: number,
    out: number,
    outStride: number,
    bytes: number,
  ): void
  /** Copies `bytes` bytes of each row. */
  copy(rows: number, from: number, fromStride: number, out: number, outStride: number, bytes: number): void
  /**
   * Per row, x ÷ scale, rounded, halves to even, + zero point, within 0 … 255: `scales` and `zeros` are float32 [columns], filled up to
   * a whole number of 4, and up to 12 bytes behind a row of x are read. NaN becomes 0.
   */
  quantize(
    rows: number,
    from: number,
    fromStride: number,
    scales: number,
    zeros: number,
    out: number,
    outStride: number,
    columns: number,
  ): void
}

/** Zeros. Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return { buffer, ...(exports as unknown as Omit<Heap, 'buffer'>) }
}

/** kernel.wat, compiled. */
export const kernelBytes =
  'AGFzbQEAAAABMQVgCn9/f39/f39/f30AYAF7AXtgB39/f39/f38AYAh/f39/f39/fwBgBn9/f39/fwACEgEGb25lZG5uBm1lbW9yeQIAAAMHBgABAgMEAwcpBQNtaXgAAAdzb2Z0bWF4AAIDYWRkAAMEY29weQAECHF1YW50aXplAAUKkQ0GtwQGAXsGfwF7A38EewF/IAn9EyEKIAhBQHEhGSACIANBA3RqIQ8CQANAIAsgAE8NAUEAIQwgBCETIAYhFAJAA0AgDCABTw0BQQAhDQJAA0AgDSAZTw0B/QwAAAAAAAAAAAAAAAAAAAAAIRX9DAAAAAAAAAAAAAAAAAAAAAAhFv0MAAAAAAAAAAAAAAAAAAAAACEX/QwAAAAAAAAAAAAAAAAAAAAAIRggEyESIAIhDgJAA0AgDiAPTw0BIBL9CQIAIREgDSAOKAIAIAsgDigCBGxqaiEQIBUgESAQ/QAEAP3mAf3kASEVIBYgESAQ/QAEEP3mAf3kASEWIBcgESAQ/QAEIP3mAf3kASEXIBggESAQ/QAEMP3mAf3kASEYIBJBBGohEiAOQQhqIQ4MAAsLIBQgDWogFSAK/esB/QsEACAUIA1qIBYgCv3rAf0LBBAgFCANaiAXIAr96wH9CwQgIBQgDWogGCAK/esB/QsEMCANQcAAaiENDAALCwJAA0AgDSAITw0B/QwAAAAAAAAAAAAAAAAAAAAAIRUgEyESIAIhDgJAA0AgDiAPTw0BIA0gDigCACALIA4oAgRsamohECAVIBL9CQIAIBD9AAQA/eYB/eQBIRUgEkEEaiESIA5BCGohDgwACwsgFCANaiAVIAr96wH9CwQAIA1BEGohDQwACwsgDEEBaiEMIBMgA0ECdGohEyAUIAhqIRQMAAsLIAtBAWohCyAEIAVqIQQgBiAHaiEGDAALCwv3AQEDeyAAQ5qZrsL9E/3rASECIAJDO6q4P/0T/eYB/WohASACIAFDAIAxP/0T/eYB/eUBIQIgAiABQ4OAXjn9E/3mAf3kASECQ2dpUDn9EyEDIAMgAv3mAUPOQ7c6/RP95AEhAyADIAL95gFDCIkIPP0T/eQBIQMgAyAC/eYBQ8GpKj39E/3kASEDIAMgAv3mAUOqqio+/RP95AEhAyADIAL95gFDAAAAP/0T/eQBIQMgAyAC/eYBIAL95gEgAv3kASEDIANDAACAP/0T/eQBIQMgAyAB/fgBQf8A/RH9rgFBF/2rAf3mASAAQ5qZrsL9E/1D/U39TgvYAgMFfwJ9AXsCQANAIABFDQEgAyEJIAUhCiABIQcCQANAIAdFDQEgCSACQQJ0aiELIAkqAgAhDCAJIQgDQCAMIAgqAgCXIQwgCEEEaiEIIAggC0kNAAtDAAAAACENIAkhCAJAA0AgCEEQaiALSw0BIAj9AAQAIAz9E/3lARABIQ4gCiAIIAlraiAO/QsEACANIA79HwAgDv0fAZIgDv0fAiAO/R8DkpKSIQ0gCEEQaiEIDAALCwJAA0AgCCALTw0BIAgqAgAgDJP9ExABIQ4gCiAIIAlraiAO/R8AOAIAIA0gDv0fAJIhDSAIQQRqIQgMAAsLIAogAkECdGohC0MAAIA/IA2VIQ0CQANAIAogC08NASAKIAoqAgAgDZQ4AgAgCkEEaiEKDAALCyAJIAJBAnRqIQkgB0EBayEHDAALCyADIARqIQMgBSAGaiEFIABBAWshAAwACwsLmwEBAn8gB0FwcSEJAkADQCAARQ0BQQAhCAJAA0AgCCAJTw0BIAUgCGogASAIav0ABAAgAyAIav0ABAD95AH9CwQAIAhBEGohCAwACwsCQANAIAggB08NASAFIAhqIAEgCGoqAgAgAyAIaioCAJI4AgAgCEEEaiEIDAALCyABIAJqIQEgAyAEaiEDIAUgBmohBSAAQQFrIQAMAAsLC38BAn8gBUFwcSEHAkADQCAARQ0BQQAhBgJAA0AgBiAHTw0BIAMgBmogASAGav0ABAD9CwQAIAZBEGohBgwACwsCQANAIAYgBU8NASADIAZqIAEgBmotAAA6AAAgBkEBaiEGDAALCyABIAJqIQEgAyAEaiEDIABBAWshAAwACwsL5QEDAX8CewJ/AkADQCAARQ0BQQAhCAJAA0AgCCAHTw0BIAQgCEECdGr9AAQAIQkgASAIQQJ0av0ABAAgAyAIQQJ0av0ABAD95wEhCkMAAH9D/RMgCf3lASAJ/eEBIAr96wH96gEhCiAK/WogCf3kAf34ASEKIAogCv2GASEKIAogCv1m/RsAIQsgCEEEaiEMIAwgB00EQCAFIAhqIAs2AgAgDCEIBQNAIAUgCGogCzoAACALQQh2IQsgCEEBaiEIIAggB0kNAAsLDAALCyABIAJqIQEgBSAGaiEFIABBAWshAAwACwsL'

const createKernel = compileKernel(kernelBytes, 'onednn')
