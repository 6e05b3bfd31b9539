import type { Violation } from '../base/errors.ts'

/** Predictions by column: entry i of every column belongs to the same candidate. */
export interface PredictionTable {
  /** Rows of the request. */
  requested: number
  /** Place in the request of each entry: where rows were left out, or an order was asked for; else entry i is row i. */
  index: Int32Array | undefined
  /** Set where an order was asked for: what it went by. */
  scores: Float64Array | undefined
  /** Calibrated probabilities, per task asked for. */
  tasks: [name: string, probabilities: Float64Array][]
  /** Raw probabilities, where asked for. */
  raw: [name: string, probabilities: Float64Array][] | undefined
  /** Gate weights, where asked for: [entries, experts], row-major. */
  gates: [name: string, weights: Float32Array][] | undefined
  /** Per row of the request. */
  ids: (CandidateId | undefined)[] | undefined
  /** Per row of the request, where asked for: fields with a value that the model doesn't know. */
  unknown?: (string[] | undefined)[] | undefined
  /** What is wrong with rows left out. */
  problems: Violation[]
}
/** Echoed as it was sent. */
export type CandidateId = string | number
