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
  /**
   * Per row, `bytes` bytes of float32, a whole number of 16, as words of two bfloat16 whose sum is the number, but for its last bits; those
   * of `out` lie side by side. NaN and what is too large become the largest of bfloat16.
   */
  split(rows: number, from: number, fromStride: number, out: number, bytes: number): void
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
  'AGFzbQEAAAABQAdgCn9/f39/f39/f30AYAJ/fwBgBn9/f39/fwBgA39/fwBgCH9/f39/f399AGAIf39/f39/f38AYAV/f39/fwACEgEGb25lZG5uBm1lbW9yeQIAAAMKCQABAgMEBQYCBQdBCANtaXgAAAdzb2Z0bWF4AAIHc2lnbW9pZAADA2RvdAAEA2FkZAAFBXNwbGl0AAYEY29weQAHCHF1YW50aXplAAgK+BQJtwQGAXsGfwF7A38EewF/IAn9EyEKIAhBQHEhGSACIANBA3RqIQ8CQANAIAsgAE8NAUEAIQwgBCETIAYhFAJAA0AgDCABTw0BQQAhDQJAA0AgDSAZTw0B/QwAAAAAAAAAAAAAAAAAAAAAIRX9DAAAAAAAAAAAAAAAAAAAAAAhFv0MAAAAAAAAAAAAAAAAAAAAACEX/QwAAAAAAAAAAAAAAAAAAAAAIRggEyESIAIhDgJAA0AgDiAPTw0BIBL9CQIAIREgDSAOKAIAIAsgDigCBGxqaiEQIBUgESAQ/QAEAP3mAf3kASEVIBYgESAQ/QAEEP3mAf3kASEWIBcgESAQ/QAEIP3mAf3kASEXIBggESAQ/QAEMP3mAf3kASEYIBJBBGohEiAOQQhqIQ4MAAsLIBQgDWogFSAK/esB/QsEACAUIA1qIBYgCv3rAf0LBBAgFCANaiAXIAr96wH9CwQgIBQgDWogGCAK/esB/QsEMCANQcAAaiENDAALCwJAA0AgDSAITw0B/QwAAAAAAAAAAAAAAAAAAAAAIRUgEyESIAIhDgJAA0AgDiAPTw0BIA0gDigCACALIA4oAgRsamohECAVIBL9CQIAIBD9AAQA/eYB/eQBIRUgEkEEaiESIA5BCGohDgwACwsgFCANaiAVIAr96wH9CwQAIA1BEGohDQwACwsgDEEBaiEMIBMgA0ECdGohEyAUIAhqIRQMAAsLIAtBAWohCyAEIAVqIQQgBiAHaiEGDAALCwvAAgEQe0Oama7C/RMhBkM7qrg//RMhB0MAgDE//RMhCEODgF45/RMhCUNnaVA5/RMhCkPOQ7c6/RMhC0MIiQg8/RMhDEPBqSo9/RMhDUOqqio+/RMhDkMAAAA//RMhD0MAAIA//RMhEEH/AP0RIRECQANAIAAgAU8NASAA/QAEACECIAIgBv3rASEEIAQgB/3mAf1qIQMgBCADIAj95gH95QEhBCAEIAMgCf3mAf3kASEEIAogBP3mASAL/eQBIQUgBSAE/eYBIAz95AEhBSAFIAT95gEgDf3kASEFIAUgBP3mASAO/eQBIQUgBSAE/eYBIA/95AEhBSAFIAT95gEgBP3mASAE/eQBIQUgBSAQ/eQBIQUgACAFIAP9+AEgEf2uAUEX/asB/eYBIAIgBv1D/U/9CwQAIABBEGohAAwACwsL6gQCBn8De0MAAIA//RMhDiACQQJ0IQsgBSEJAkADQCAGIABPDQEgAyEIIAEhBwJAA0AgB0UNASAIIAtqIQogCP0JAgAhDAJAA0AgCEEQaiAKSw0BIAwgCP0ABAD96wEhDCAIQRBqIQgMAAsLAkADQCAIIApPDQEgDCAI/QkCAP3rASEMIAhBBGohCAwACwsgDCAMIAz9DQgJCgsMDQ4PAAECAwQFBgf96wEhDCAMIAwgDP0NBAUGBwABAgMMDQ4PCAkKC/3rASEMIAogC2shCAJAA0AgCEEQaiAKSw0BIAkgCP0ABAAgDP3lAf0LBAAgCEEQaiEIIAlBEGohCQwACwsCQANAIAggCk8NASAJIAgqAgAgDP0fAJM4AgAgCEEEaiEIIAlBBGohCQwACwsgB0EBayEHDAALCyADIARqIQMgBkEBaiEGDAALCyAFIAkQASAAIAFsIQcgBSEJAkADQCAHRQ0BIAkgC2ohCiAJIQj9DAAAAAAAAAAAAAAAAAAAAAAhDQJAA0AgCEEQaiAKSw0BIA0gCP0ABAD95AEhDSAIQRBqIQgMAAsLAkADQCAIIApPDQEgDSAI/VwCAP3kASENIAhBBGohCAwACwsgDSANIA39DQgJCgsMDQ4PAAECAwQFBgf95AEhDSANIA0gDf0NBAUGBwABAgMMDQ4PCAkKC/3kASENIA4gDf3nASENAkADQCAJQRBqIApLDQEgCSAJ/QAEACAN/eYB/QsEACAJQRBqIQkMAAsLAkADQCAJIApPDQEgCSAJKgIAIA39HwCUOAIAIAlBBGohCQwACwsgB0EBayEHDAALCwusAQICfwN7IAJBAnQhBEMAAIA//RMhBwJAA0AgAyAETw0BIAEgA2ogACADav0ABAD94AH94QH9CwQAIANBEGohAwwACwsgASABIARqEAFBACEDAkADQCADIARPDQEgACADav0ABAAhBSABIANq/QAEACEGIAEgA2ogBiAHIAX9DAAAAAAAAAAAAAAAAAAAAAD9Q/1SIAYgB/3kAf3nAf0LBAAgA0EQaiEDDAALCwuyAgIGfwJ7IAMgBEEEdGohCQJAA0AgAEUNASADIQggBSEKAkADQCAIIAlPDQEgCCgCACENIAEgCCgCBGohCyABIAgoAghqIQz9DAAAAAAAAAAAAAAAAAAAAAAhDv0MAAAAAAAAAAAAAAAAAAAAACEPAkADQCALQSBqIAxLDQEgDiAL/QAEACAN/QAEAP3mAf3kASEOIA8gC/0ABBAgDf0ABBD95gH95AEhDyALQSBqIQsgDUEgaiENDAALCyALIAxJBEAgDiAL/QAEACAN/QAEAP3mAf3kASEOCyAOIA/95AEhDiAKIAcgCCoCDCAO/R8AIA79HwGSIA79HwIgDv0fA5KSkpc4AgAgCkEEaiEKIAhBEGohCAwACwsgASACaiEBIAUgBmohBSAAQQFrIQAMAAsLC5sBAQJ/IAdBcHEhCQJAA0AgAEUNAUEAIQgCQANAIAggCU8NASAFIAhqIAEgCGr9AAQAIAMgCGr9AAQA/eQB/QsEACAIQRBqIQgMAAsLAkADQCAIIAdPDQEgBSAIaiABIAhqKgIAIAMgCGoqAgCSOAIAIAhBBGohCAwACwsgASACaiEBIAMgBGohAyAFIAZqIQUgAEEBayEADAALCwuoAQIBfwV7/QwAAH9/AAB/fwAAf38AAH9/IQcgB/3hASEIQYCAfP0RIQlBgIAC/REhCgJAA0AgAEUNAUEAIQUCQANAIAUgBE8NASAHIAggASAFav0ABAD96wH96gEhBiADIAVqIAZBEP2tASAJIAogBiAJIAb9Tv3lAf2uAf1O/VD9CwQAIAVBEGohBQwACwsgASACaiEBIAMgBGohAyAAQQFrIQAMAAsLC38BAn8gBUFwcSEHAkADQCAARQ0BQQAhBgJAA0AgBiAHTw0BIAMgBmogASAGav0ABAD9CwQAIAZBEGohBgwACwsCQANAIAYgBU8NASADIAZqIAEgBmotAAA6AAAgBkEBaiEGDAALCyABIAJqIQEgAyAEaiEDIABBAWshAAwACwsL5QEDAX8CewJ/AkADQCAARQ0BQQAhCAJAA0AgCCAHTw0BIAQgCEECdGr9AAQAIQkgASAIQQJ0av0ABAAgAyAIQQJ0av0ABAD95wEhCkMAAH9D/RMgCf3lASAJ/eEBIAr96wH96gEhCiAK/WogCf3kAf34ASEKIAogCv2GASEKIAogCv1m/RsAIQsgCEEEaiEMIAwgB00EQCAFIAhqIAs2AgAgDCEIBQNAIAUgCGogCzoAACALQQh2IQsgCEEBaiEIIAggB0kNAAsLDAALCyABIAJqIQEgBSAGaiEFIABBAWshAAwACwsL'

const createKernel = compileKernel(kernelBytes, 'onednn')
