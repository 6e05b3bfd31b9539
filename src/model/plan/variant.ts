import type ort from 'onnxruntime-node'
import type { InferenceSession } from 'onnxruntime-node'
import type { Cost } from '../contracts/compiled-plan.ts'
import type { Batch } from '../contracts/engine.ts'
import type { Packer } from './packing.ts'

/** Rows of one request, or of any where no contexts are told apart; of known candidates with where each is kept. */
export interface RequestRows {
  rows: Int32Array
  slots?: Int32Array
}

/** A way to compute rows. */
export interface Variant {
  /** What it takes of the batch: of each request's first row, and of every row. */
  context: readonly Packer[]
  rows: readonly Packer[]
  /** Whether each request has a context of its own in it. */
  byRequest: boolean
  /** Rows that it can compute in one call. */
  mostRows: number
  cost: FullCost
  /** Each request has the context of its first row. */
  run(batch: Batch, requests: readonly RequestRows[]): Promise<InferenceSession.OnnxValueMapType>
}

/** One graph of a plan, open in this thread. */
export interface OpenVariant extends Variant {
  session: InferenceSession
  /** `more`: inputs that the batch does not have. */
  run(
    batch: Batch,
    requests: readonly RequestRows[],
    more?: Record<string, ort.Tensor>,
  ): Promise<InferenceSession.OnnxValueMapType>
}
/*
 * What requests cost in a graph of a plan, µs: each in a call of its own, or in one with others.
 */

export type FullCost = Required<Cost>
