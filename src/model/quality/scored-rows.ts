import type { Groups, Values } from './ranking.ts'

/** Labelled predictions of one task. All arrays have one element per row. */
export interface ScoredRows {
  /** 1 or 0. */
  labels: Values
  /** Probabilities in [0, 1]. */
  predictions: Values
  /** ≥ 0; undefined: all rows weigh 1. Of a sample without some negatives, those that belong to the labels. */
  weights: Values | undefined
  /** Undefined where no negatives were dropped. */
  kept?: KeptNegatives | undefined
  /** Rows that are alike, such as those of one user; undefined: none are. */
  groups: Groups | undefined
  /** Bucket of the bootstrap; rows of one group share one. */
  buckets: Uint32Array
}

/** A sample without some negatives: how many a row stands for depends on its label. */
export interface KeptNegatives {
  /** Weights of the rows whatever their labels; undefined: all are 1. */
  own: Values | undefined
  /** The share of the negatives that was kept, per factor: a task that is no product has one. */
  shares: readonly number[]
  /** Predictions of the factors of a product; undefined where they are not known. */
  factors?: readonly Values[] | undefined
}
