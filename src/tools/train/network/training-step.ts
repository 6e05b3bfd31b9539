/** The graphs that a thread needs to take steps, and where their tensors lie in its memory. Can be sent to a thread. */
export interface TrainingStep {
  /**
   * ONNX. Inputs: the batch's inputs, `lookUps`, `masks`, `items`, `labels`, `coefficients`, `share` and the
   * parameters; outputs: the loss, gradients and the batch's statistics.
   */
  step: Uint8Array
  /** ONNX. Inputs: the batch's inputs, `lookUps`, parameters and statistics; output: `logits` [rows, tasks]. */
  inference: Uint8Array
  /** ONNX: computes the indexes of look-ups from the batch's inputs; undefined where they are inputs already. */
  indexes: Uint8Array | undefined
  /** Names of the inputs: ids int32 [rows, fields] and numbers float32 [rows, fields]. */
  inputs: { sparse: string | undefined; dense: string | undefined }
  /** Which of them each graph reads. */
  reads: { step: string[]; inference: string[] }
  parameters: Parameter[]
  statistics: Statistic[]
  /** Floats of parameters and statistics together, with padding. */
  size: number
  /** Floats that parameters take, at the start. */
  trained: number
  tables: Table[]
  lookUps: LookUp[]
  masks: Mask[]
  items: Items[]
  loss: string
  logits: string
  /** Columns of `logits`. */
  tasks: number
  /** Terms of the loss: columns of `labels` and `coefficients`. */
  terms: number
}

/** A part of a thread's memory, in floats. */
export interface Place {
  name: string
  dims: number[]
  offset: number
  size: number
}

/** A trained tensor. */
export interface Parameter extends Place {
  /** The output that holds its gradient. */
  gradient: string
}

/** A moving statistic of a normalisation. */
export interface Statistic extends Place {
  /** The output that holds the batch's. */
  batch: string
  /** Share that a step keeps. */
  momentum: number
}

/** An embedding table, which no graph holds: a step reads and changes few of its rows. */
export interface Table {
  name: string
  rows: number
  width: number
  /** False: its rows are read and never changed. */
  trained: boolean
  /** Penalty on the sum of the squares of all rows but those of padding; 0: none. */
  l2: number
  /** Rows of padding, which no value has; default: none. */
  padding?: readonly number[]
  /** Undefined: Adam. */
  adagrad: Adagrad | undefined
}

/** Row-wise Adagrad: its learning rate, and the sums of squares that it keeps per row. */
export interface Adagrad {
  rate: number
  groups: number
}

/** Numbers that the optimiser of a table keeps: Adam's two moments, or Adagrad's sums of squares. */
export function momentsOf({ rows, width, trained, adagrad }: Table): { first: number; second: number } {
  if (!trained) return { first: 0, second: 0 }
  return adagrad ? { first: 0, second: rows * adagrad.groups } : { first: rows * width, second: rows * width }
}

/** Rows of a table, as an input of the graphs: float32 [rows, …dims, width]. */
export interface LookUp {
  /** Index in `tables`. */
  table: number
  input: string
  /** The input, or the output of `indexes`, with the rows' numbers. */
  indexes: string
  /** Sides of the indexes after the batch. */
  dims: number[]
  /** The number of places without a value, whose row is neither read nor trained; undefined: there are none. */
  padding: number | undefined
  /** Output with the gradient of `input`; undefined where the table is not trained. */
  gradient: string | undefined
}

/**
 * The places of values among those of a list in all rows of a batch, [rows · max]: int32 [items], or one place of
 * padding where there are none.
 */
export interface Items {
  name: string
  /** The first column of the list's ids, and their number. */
  column: number
  max: number
  /** The id of places without a value. */
  padding: number
}

/** The tensor that a dropout layer multiplies with: float32 [rows, …dims]. */
export interface Mask {
  name: string
  dims: number[]
  /** Share of zeros. */
  rate: number
}

/** Names of the inputs that a step adds. */
export const stepInputs = { labels: 'step:labels', coefficients: 'step:coefficients', share: 'step:share' } as const
