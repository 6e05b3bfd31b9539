import type { EncodedRows } from '../data/encode-rows.ts'

/** Encoded rows with their labels: per task, per row 1, 0, or −1 outside the task's sample space. */
export interface Examples {
  encoded: EncodedRows
  labels: Int8Array[]
  /** Per row its weight; undefined: each weighs 1. */
  weights?: Float32Array | undefined
}
