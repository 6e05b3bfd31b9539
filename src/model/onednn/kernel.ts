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
  /**
   * Per row, softmax of `runs` runs of `count` numbers, at least one. Those of `out` lie side by side; up to 12 bytes behind them are
   * changed.
   */
  softmax(rows: number, runs: number, count: number, from: number, fromStride: number, out: number): void
  /** 1 ÷ (1 + e to the power of −x), of `count` numbers. Up to 12 bytes behind x are read, and as many behind `out` changed. */
  sigmoid(x: number, out: number, count: number): void
  /**
   * Per row and column, max(Σ x·weights + bias, `floor`). `columns` holds four numbers for each of `count` columns: the address of its
   * weights, the first and the end of the bytes of x that they multiply, whole numbers of 16, and its bias, float32.
   */
  dot(
    rows: number,
    x: number,
    xStride: number,
    columns: number,
    count: number,
    out: number,
    outStride: number,
    floor: number,
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
  'AGFzbQEAAAABOAZgCn9/f39/f39/f30AYAJ/fwBgBn9/f39/fwBgA39/fwBgCH9/f39/f399AGAIf39/f39/f38AAhIBBm9uZWRubgZtZW1vcnkCAAADCQgAAQIDBAUCBQc5BwNtaXgAAAdzb2Z0bWF4AAIHc2lnbW9pZAADA2RvdAAEA2FkZAAFBGNvcHkABghxdWFudGl6ZQAHCs4TCLcEBgF7Bn8BewN/BHsBfyAJ/RMhCiAIQUBxIRkgAiADQQN0aiEPAkADQCALIABPDQFBACEMIAQhEyAGIRQCQANAIAwgAU8NAUEAIQ0CQANAIA0gGU8NAf0MAAAAAAAAAAAAAAAAAAAAACEV/QwAAAAAAAAAAAAAAAAAAAAAIRb9DAAAAAAAAAAAAAAAAAAAAAAhF/0MAAAAAAAAAAAAAAAAAAAAACEYIBMhEiACIQ4CQANAIA4gD08NASAS/QkCACERIA0gDigCACALIA4oAgRsamohECAVIBEgEP0ABAD95gH95AEhFSAWIBEgEP0ABBD95gH95AEhFiAXIBEgEP0ABCD95gH95AEhFyAYIBEgEP0ABDD95gH95AEhGCASQQRqIRIgDkEIaiEODAALCyAUIA1qIBUgCv3rAf0LBAAgFCANaiAWIAr96wH9CwQQIBQgDWogFyAK/esB/QsEICAUIA1qIBggCv3rAf0LBDAgDUHAAGohDQwACwsCQANAIA0gCE8NAf0MAAAAAAAAAAAAAAAAAAAAACEVIBMhEiACIQ4CQANAIA4gD08NASANIA4oAgAgCyAOKAIEbGpqIRAgFSAS/QkCACAQ/QAEAP3mAf3kASEVIBJBBGohEiAOQQhqIQ4MAAsLIBQgDWogFSAK/esB/QsEACANQRBqIQ0MAAsLIAxBAWohDCATIANBAnRqIRMgFCAIaiEUDAALCyALQQFqIQsgBCAFaiEEIAYgB2ohBgwACwsLwAIBEHtDmpmuwv0TIQZDO6q4P/0TIQdDAIAxP/0TIQhDg4BeOf0TIQlDZ2lQOf0TIQpDzkO3Ov0TIQtDCIkIPP0TIQxDwakqPf0TIQ1DqqoqPv0TIQ5DAAAAP/0TIQ9DAACAP/0TIRBB/wD9ESERAkADQCAAIAFPDQEgAP0ABAAhAiACIAb96wEhBCAEIAf95gH9aiEDIAQgAyAI/eYB/eUBIQQgBCADIAn95gH95AEhBCAKIAT95gEgC/3kASEFIAUgBP3mASAM/eQBIQUgBSAE/eYBIA395AEhBSAFIAT95gEgDv3kASEFIAUgBP3mASAP/eQBIQUgBSAE/eYBIAT95gEgBP3kASEFIAUgEP3kASEFIAAgBSAD/fgBIBH9rgFBF/2rAf3mASACIAb9Q/1P/QsEACAAQRBqIQAMAAsLC+oEAgZ/A3tDAACAP/0TIQ4gAkECdCELIAUhCQJAA0AgBiAATw0BIAMhCCABIQcCQANAIAdFDQEgCCALaiEKIAj9CQIAIQwCQANAIAhBEGogCksNASAMIAj9AAQA/esBIQwgCEEQaiEIDAALCwJAA0AgCCAKTw0BIAwgCP0JAgD96wEhDCAIQQRqIQgMAAsLIAwgDCAM/Q0ICQoLDA0ODwABAgMEBQYH/esBIQwgDCAMIAz9DQQFBgcAAQIDDA0ODwgJCgv96wEhDCAKIAtrIQgCQANAIAhBEGogCksNASAJIAj9AAQAIAz95QH9CwQAIAhBEGohCCAJQRBqIQkMAAsLAkADQCAIIApPDQEgCSAIKgIAIAz9HwCTOAIAIAhBBGohCCAJQQRqIQkMAAsLIAdBAWshBwwACwsgAyAEaiEDIAZBAWohBgwACwsgBSAJEAEgACABbCEHIAUhCQJAA0AgB0UNASAJIAtqIQogCSEI/QwAAAAAAAAAAAAAAAAAAAAAIQ0CQANAIAhBEGogCksNASANIAj9AAQA/eQBIQ0gCEEQaiEIDAALCwJAA0AgCCAKTw0BIA0gCP1cAgD95AEhDSAIQQRqIQgMAAsLIA0gDSAN/Q0ICQoLDA0ODwABAgMEBQYH/eQBIQ0gDSANIA39DQQFBgcAAQIDDA0ODwgJCgv95AEhDSAOIA395wEhDQJAA0AgCUEQaiAKSw0BIAkgCf0ABAAgDf3mAf0LBAAgCUEQaiEJDAALCwJAA0AgCSAKTw0BIAkgCSoCACAN/R8AlDgCACAJQQRqIQkMAAsLIAdBAWshBwwACwsLrAECAn8DeyACQQJ0IQRDAACAP/0TIQcCQANAIAMgBE8NASABIANqIAAgA2r9AAQA/eAB/eEB/QsEACADQRBqIQMMAAsLIAEgASAEahABQQAhAwJAA0AgAyAETw0BIAAgA2r9AAQAIQUgASADav0ABAAhBiABIANqIAYgByAF/QwAAAAAAAAAAAAAAAAAAAAA/UP9UiAGIAf95AH95wH9CwQAIANBEGohAwwACwsLsgICBn8CeyADIARBBHRqIQkCQANAIABFDQEgAyEIIAUhCgJAA0AgCCAJTw0BIAgoAgAhDSABIAgoAgRqIQsgASAIKAIIaiEM/QwAAAAAAAAAAAAAAAAAAAAAIQ79DAAAAAAAAAAAAAAAAAAAAAAhDwJAA0AgC0EgaiAMSw0BIA4gC/0ABAAgDf0ABAD95gH95AEhDiAPIAv9AAQQIA39AAQQ/eYB/eQBIQ8gC0EgaiELIA1BIGohDQwACwsgCyAMSQRAIA4gC/0ABAAgDf0ABAD95gH95AEhDgsgDiAP/eQBIQ4gCiAHIAgqAgwgDv0fACAO/R8BkiAO/R8CIA79HwOSkpKXOAIAIApBBGohCiAIQRBqIQgMAAsLIAEgAmohASAFIAZqIQUgAEEBayEADAALCwubAQECfyAHQXBxIQkCQANAIABFDQFBACEIAkADQCAIIAlPDQEgBSAIaiABIAhq/QAEACADIAhq/QAEAP3kAf0LBAAgCEEQaiEIDAALCwJAA0AgCCAHTw0BIAUgCGogASAIaioCACADIAhqKgIAkjgCACAIQQRqIQgMAAsLIAEgAmohASADIARqIQMgBSAGaiEFIABBAWshAAwACwsLfwECfyAFQXBxIQcCQANAIABFDQFBACEGAkADQCAGIAdPDQEgAyAGaiABIAZq/QAEAP0LBAAgBkEQaiEGDAALCwJAA0AgBiAFTw0BIAMgBmogASAGai0AADoAACAGQQFqIQYMAAsLIAEgAmohASADIARqIQMgAEEBayEADAALCwvlAQMBfwJ7An8CQANAIABFDQFBACEIAkADQCAIIAdPDQEgBCAIQQJ0av0ABAAhCSABIAhBAnRq/QAEACADIAhBAnRq/QAEAP3nASEKQwAAf0P9EyAJ/eUBIAn94QEgCv3rAf3qASEKIAr9aiAJ/eQB/fgBIQogCiAK/YYBIQogCiAK/Wb9GwAhCyAIQQRqIQwgDCAHTQRAIAUgCGogCzYCACAMIQgFA0AgBSAIaiALOgAAIAtBCHYhCyAIQQFqIQggCCAHSQ0ACwsMAAsLIAEgAmohASAFIAZqIQUgAEEBayEADAALCws='

const createKernel = compileKernel(kernelBytes, 'onednn')
