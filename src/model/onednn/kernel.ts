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
  /** Per row, float16 as float32. Up to 6 bytes behind a row of x are read, and up to 12 behind one of `out` changed. */
  widen(rows: number, from: number, fromStride: number, out: number, outStride: number, columns: number): void
  /**
   * Per row, x · scale: int8 [rows, columns] and float32 [rows], side by side. Up to 3 bytes behind x are read, and up to 12 behind `out`
   * changed.
   */
  dequantize(rows: number, x: number, scales: number, out: number, columns: number): void
}

/** Zeros. Throws RangeError where the system refuses the memory, or it would exceed 4 GiB. */
export function createHeap(bytes: number): Heap {
  const { buffer, exports } = createKernel(bytes)
  return { buffer, ...(exports as unknown as Omit<Heap, 'buffer'>) }
}

/** kernel.wat, compiled. */
export const kernelBytes =
  'AGFzbQEAAAABQAdgCn9/f39/f39/f30AYAJ/fwBgBn9/f39/fwBgA39/fwBgCH9/f39/f399AGAIf39/f39/f38AYAV/f39/fwACEgEGb25lZG5uBm1lbW9yeQIAAAMMCwABAgMEBQYCBQIGB1YKA21peAAAB3NvZnRtYXgAAgdzaWdtb2lkAAMDZG90AAQDYWRkAAUFc3BsaXQABgRjb3B5AAcIcXVhbnRpemUACAV3aWRlbgAJCmRlcXVhbnRpemUACgqRFwu3BAYBewZ/AXsDfwR7AX8gCf0TIQogCEFAcSEZIAIgA0EDdGohDwJAA0AgCyAATw0BQQAhDCAEIRMgBiEUAkADQCAMIAFPDQFBACENAkADQCANIBlPDQH9DAAAAAAAAAAAAAAAAAAAAAAhFf0MAAAAAAAAAAAAAAAAAAAAACEW/QwAAAAAAAAAAAAAAAAAAAAAIRf9DAAAAAAAAAAAAAAAAAAAAAAhGCATIRIgAiEOAkADQCAOIA9PDQEgEv0JAgAhESANIA4oAgAgCyAOKAIEbGpqIRAgFSARIBD9AAQA/eYB/eQBIRUgFiARIBD9AAQQ/eYB/eQBIRYgFyARIBD9AAQg/eYB/eQBIRcgGCARIBD9AAQw/eYB/eQBIRggEkEEaiESIA5BCGohDgwACwsgFCANaiAVIAr96wH9CwQAIBQgDWogFiAK/esB/QsEECAUIA1qIBcgCv3rAf0LBCAgFCANaiAYIAr96wH9CwQwIA1BwABqIQ0MAAsLAkADQCANIAhPDQH9DAAAAAAAAAAAAAAAAAAAAAAhFSATIRIgAiEOAkADQCAOIA9PDQEgDSAOKAIAIAsgDigCBGxqaiEQIBUgEv0JAgAgEP0ABAD95gH95AEhFSASQQRqIRIgDkEIaiEODAALCyAUIA1qIBUgCv3rAf0LBAAgDUEQaiENDAALCyAMQQFqIQwgEyADQQJ0aiETIBQgCGohFAwACwsgC0EBaiELIAQgBWohBCAGIAdqIQYMAAsLC8ACARB7Q5qZrsL9EyEGQzuquD/9EyEHQwCAMT/9EyEIQ4OAXjn9EyEJQ2dpUDn9EyEKQ85Dtzr9EyELQwiJCDz9EyEMQ8GpKj39EyENQ6qqKj79EyEOQwAAAD/9EyEPQwAAgD/9EyEQQf8A/REhEQJAA0AgACABTw0BIAD9AAQAIQIgAiAG/esBIQQgBCAH/eYB/WohAyAEIAMgCP3mAf3lASEEIAQgAyAJ/eYB/eQBIQQgCiAE/eYBIAv95AEhBSAFIAT95gEgDP3kASEFIAUgBP3mASAN/eQBIQUgBSAE/eYBIA795AEhBSAFIAT95gEgD/3kASEFIAUgBP3mASAE/eYBIAT95AEhBSAFIBD95AEhBSAAIAUgA/34ASAR/a4BQRf9qwH95gEgAiAG/UP9T/0LBAAgAEEQaiEADAALCwvqBAIGfwN7QwAAgD/9EyEOIAJBAnQhCyAFIQkCQANAIAYgAE8NASADIQggASEHAkADQCAHRQ0BIAggC2ohCiAI/QkCACEMAkADQCAIQRBqIApLDQEgDCAI/QAEAP3rASEMIAhBEGohCAwACwsCQANAIAggCk8NASAMIAj9CQIA/esBIQwgCEEEaiEIDAALCyAMIAwgDP0NCAkKCwwNDg8AAQIDBAUGB/3rASEMIAwgDCAM/Q0EBQYHAAECAwwNDg8ICQoL/esBIQwgCiALayEIAkADQCAIQRBqIApLDQEgCSAI/QAEACAM/eUB/QsEACAIQRBqIQggCUEQaiEJDAALCwJAA0AgCCAKTw0BIAkgCCoCACAM/R8AkzgCACAIQQRqIQggCUEEaiEJDAALCyAHQQFrIQcMAAsLIAMgBGohAyAGQQFqIQYMAAsLIAUgCRABIAAgAWwhByAFIQkCQANAIAdFDQEgCSALaiEKIAkhCP0MAAAAAAAAAAAAAAAAAAAAACENAkADQCAIQRBqIApLDQEgDSAI/QAEAP3kASENIAhBEGohCAwACwsCQANAIAggCk8NASANIAj9XAIA/eQBIQ0gCEEEaiEIDAALCyANIA0gDf0NCAkKCwwNDg8AAQIDBAUGB/3kASENIA0gDSAN/Q0EBQYHAAECAwwNDg8ICQoL/eQBIQ0gDiAN/ecBIQ0CQANAIAlBEGogCksNASAJIAn9AAQAIA395gH9CwQAIAlBEGohCQwACwsCQANAIAkgCk8NASAJIAkqAgAgDf0fAJQ4AgAgCUEEaiEJDAALCyAHQQFrIQcMAAsLC6wBAgJ/A3sgAkECdCEEQwAAgD/9EyEHAkADQCADIARPDQEgASADaiAAIANq/QAEAP3gAf3hAf0LBAAgA0EQaiEDDAALCyABIAEgBGoQAUEAIQMCQANAIAMgBE8NASAAIANq/QAEACEFIAEgA2r9AAQAIQYgASADaiAGIAcgBf0MAAAAAAAAAAAAAAAAAAAAAP1D/VIgBiAH/eQB/ecB/QsEACADQRBqIQMMAAsLC7ICAgZ/AnsgAyAEQQR0aiEJAkADQCAARQ0BIAMhCCAFIQoCQANAIAggCU8NASAIKAIAIQ0gASAIKAIEaiELIAEgCCgCCGohDP0MAAAAAAAAAAAAAAAAAAAAACEO/QwAAAAAAAAAAAAAAAAAAAAAIQ8CQANAIAtBIGogDEsNASAOIAv9AAQAIA39AAQA/eYB/eQBIQ4gDyAL/QAEECAN/QAEEP3mAf3kASEPIAtBIGohCyANQSBqIQ0MAAsLIAsgDEkEQCAOIAv9AAQAIA39AAQA/eYB/eQBIQ4LIA4gD/3kASEOIAogByAIKgIMIA79HwAgDv0fAZIgDv0fAiAO/R8DkpKSlzgCACAKQQRqIQogCEEQaiEIDAALCyABIAJqIQEgBSAGaiEFIABBAWshAAwACwsLmwEBAn8gB0FwcSEJAkADQCAARQ0BQQAhCAJAA0AgCCAJTw0BIAUgCGogASAIav0ABAAgAyAIav0ABAD95AH9CwQAIAhBEGohCAwACwsCQANAIAggB08NASAFIAhqIAEgCGoqAgAgAyAIaioCAJI4AgAgCEEEaiEIDAALCyABIAJqIQEgAyAEaiEDIAUgBmohBSAAQQFrIQAMAAsLC6gBAgF/BXv9DAAAf38AAH9/AAB/fwAAf38hByAH/eEBIQhBgIB8/REhCUGAgAL9ESEKAkADQCAARQ0BQQAhBQJAA0AgBSAETw0BIAcgCCABIAVq/QAEAP3rAf3qASEGIAMgBWogBkEQ/a0BIAkgCiAGIAkgBv1O/eUB/a4B/U79UP0LBAAgBUEQaiEFDAALCyABIAJqIQEgAyAEaiEDIABBAWshAAwACwsLfwECfyAFQXBxIQcCQANAIABFDQFBACEGAkADQCAGIAdPDQEgAyAGaiABIAZq/QAEAP0LBAAgBkEQaiEGDAALCwJAA0AgBiAFTw0BIAMgBmogASAGai0AADoAACAGQQFqIQYMAAsLIAEgAmohASADIARqIQMgAEEBayEADAALCwvlAQMBfwJ7An8CQANAIABFDQFBACEIAkADQCAIIAdPDQEgBCAIQQJ0av0ABAAhCSABIAhBAnRq/QAEACADIAhBAnRq/QAEAP3nASEKQwAAf0P9EyAJ/eUBIAn94QEgCv3rAf3qASEKIAr9aiAJ/eQB/fgBIQogCiAK/YYBIQogCiAK/Wb9GwAhCyAIQQRqIQwgDCAHTQRAIAUgCGogCzYCACAMIQgFA0AgBSAIaiALOgAAIAtBCHYhCyAIQQFqIQggCCAHSQ0ACwsMAAsLIAEgAmohASAFIAZqIQUgAEEBayEADAALCwufAQIBfwJ7AkADQCAARQ0BQQAhBgJAA0AgBiAFTw0BIAEgBkEBdGr9XQMA/akBIQcgB0H//wH9Ef1OIQggAyAGQQJ0aiAIQQ39qwFDAACAd/0T/eYBIAhBgPgB/RH9QEGAgID8B/0R/U79UCAHIAj9UUEQ/asB/VD9CwQAIAZBBGohBgwACwsgASACaiEBIAMgBGohAyAAQQFrIQAMAAsLC3cCAX8BewJAA0AgAEUNASAC/QkCACEGQQAhBQJAA0AgBSAETw0BIAMgBUECdGogBiABIAVq/VwCAP2HAf2nAf36Af3mAf0LBAAgBUEEaiEFDAALCyABIARqIQEgAyAEQQJ0aiEDIAJBBGohAiAAQQFrIQAMAAsLCw=='

const createKernel = compileKernel(kernelBytes, 'onednn')
