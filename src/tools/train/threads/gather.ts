import { fillCrossed } from '../../../model/serving/features/crossed.ts'
import { unpackRow } from '../../data/packed-rows.ts'
import type { TermLabels } from '../terms.ts'
import type { SharedExamples, StepBounds, ThreadSetup } from './protocol.ts'

/** One thread's part of a step's rows, in arrays that the next step reuses. */
export interface StepRows {
  rows: number
  /** int32 [rows, fields] */
  sparse: Int32Array
  /** float32 [rows, fields] */
  dense: Float32Array
  /** float32 [rows, terms]; 0 where a row does not count. */
  labels: Float32Array
  /**
   * float32 [rows, terms]: the term's weight · the row's weight ÷ Σ weight of the step's rows that count for the term
   * (`rowMean`: of all), those of other threads included; 0 where a row does not count.
   */
  coefficients: Float32Array
}

/** Which of a step's rows a thread takes: equal parts, in order. */
export function partOf({ start, end }: StepBounds, thread: number, threads: number): StepBounds {
  const cut = (i: number) => start + Math.floor(((end - start) * i) / threads)
  return { start: cut(thread), end: cut(thread + 1) }
}

type GatherSetup = Pick<ThreadSetup, 'thread' | 'threads' | 'termWeights' | 'rowMean' | 'seed' | 'unknown'> & {
  examples: SharedExamples
  order: Int32Array
  /** Most rows of this thread's part. */
  largest: number
}

/** Gathers this thread's rows of a step; the result is valid until the next call. */
export function createGather(setup: GatherSetup): (step: StepBounds, epoch: number) => StepRows {
  const { examples, order, largest, termWeights, rowMean = false, thread, threads } = setup
  const { sparseFields, denseFields } = examples
  const terms = termWeights.length
  const sparse = new Int32Array(largest * sparseFields)
  const dense = new Float32Array(largest * denseFields)
  const labels = new Float32Array(largest * terms)
  const coefficients = new Float32Array(largest * terms)
  const mask = createMasking(setup)
  const unpacked = { sparse, dense }
  return (step, epoch) => {
    const { start, end } = partOf(step, thread, threads)
    const rows = end - start
    for (let i = 0; i < rows; i++) {
      const row = order[start + i]!
      unpackRow(examples, row, unpacked, i)
      mask?.(sparse, i * sparseFields, row, epoch)
    }
    for (let term = 0; term < terms; term++) {
      const known = examples.terms[term]!
      const total = totalWeight(known, order, step, rowMean)
      const scale = total === 0 ? 0 : termWeights[term]! / total
      for (let i = 0; i < rows; i++) {
        const row = order[start + i]!
        const label = known.labels[row]!
        labels[i * terms + term] = label > 0 ? 1 : 0
        coefficients[i * terms + term] = label < 0 ? 0 : scale * (known.weights?.[row] ?? 1)
      }
    }
    return {
      rows,
      sparse: sparse.subarray(0, rows * sparseFields),
      dense: dense.subarray(0, rows * denseFields),
      labels: labels.subarray(0, rows * terms),
      coefficients: coefficients.subarray(0, rows * terms),
    }
  }
}

/** The sum of the weights of the rows of a step that count for a term, or of `all`. */
function totalWeight(
  { labels, weights }: TermLabels,
  order: Int32Array,
  { start, end }: StepBounds,
  all: boolean,
): number {
  let total = 0
  for (let i = start; i < end; i++) {
    const row = order[i]!
    if (all || labels[row]! >= 0) total += weights?.[row] ?? 1
  }
  return total
}

/** Makes a share of the known values unknown, so that a network learns what to answer then. */
function createMasking({ unknown: { share, ids, crossed = [] }, seed }: GatherSetup) {
  if (share === 0) return undefined
  const bound = noiseBound(share)
  return (sparse: Int32Array, at: number, row: number, epoch: number): void => {
    const own = noise(seed, epoch)
    for (let field = 0; field < ids.length; field++)
      if (ids[field]! >= 0 && noise(own, row * ids.length + field) < bound) sparse[at + field] = ids[field]!
    fillCrossed(crossed, sparse, ids.length, at / ids.length, at / ids.length + 1)
  }
}

/*
 * Random numbers that follow from where they are used, not from what was drawn before: so they are the same in every
 * thread, and after a run that was interrupted.
 */

/** A 32-bit hash of a counter: the finaliser of MurmurHash3 (A. Appleby), over two words. */
export function noise(seed: number, counter: number): number {
  let h = Math.imul(counter ^ (counter >>> 15), 0x2c1b3c6d) ^ seed
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The bound below which `noise` lies in this share of cases. */
export const noiseBound = (share: number): number => Math.round(share * 2 ** 32)

/** Fills `mask` with 0, in a share of places, and 1 ÷ (1 − share); place `i` is the place `first + i` of the step. */
export function drawMask(mask: Float32Array, share: number, seed: number, first: number): void {
  const bound = noiseBound(share)
  const kept = 1 / (1 - share)
  for (let i = 0; i < mask.length; i++) mask[i] = noise(seed, first + i) < bound ? 0 : kept
}
