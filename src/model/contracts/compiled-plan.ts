import type { TableFormat } from '../../schemas/precision.ts'
import type { ListLength } from './list-length.ts'
import type { LiveTables } from './live-tables.ts'

/**
 * One graph of a compiled plan: its file, and the columns of the saved graph's inputs that each of its inputs takes.
 */
export interface VariantFile {
  file: string
  context: PackedInput[]
  rows: PackedInput[]
  /** The lengths that it takes, if its lists are cut to them. */
  lists?: ListLength[]
  /** It takes one request per call. */
  oneRequest?: true
}

export interface VariantFiles {
  full: VariantFile
  shared_context?: VariantFile
  candidate_encoder?: VariantFile
  context_encoder?: VariantFile
  cached?: VariantFile
  layers: LayerParts[]
  /** Files of the tables that its graphs map. */
  tables: string[]
  /**
   * SHA-256 of all its graphs without the values of constants and the rows of tables: plans that differ in these cost
   * the same.
   */
  structure: string
  /** Why the graph was not split by side, if so. */
  unsplit?: string
}

export interface PlanDescription {
  compiler: number
  /**
   * Inputs of the saved graph: [rows, width]. `ids`: the engine must refuse negative values, which the format would
   * allow.
   */
  inputs: { name: string; dtype: 'int32' | 'float32'; width: number; ids?: true }[]
  output: string
  /** Columns of the output. */
  width: number
  /** Why the padding of lists is computed like values, by the names of these lists. */
  paddedLists?: Record<string, string>
  passes: PassReport[]
  float32: VariantFiles
  int8?: VariantFiles & { effort: Effort; passes: PassReport[] }
  int8Problem?: string
  /** How rows of large tables are stored, if the version asks for another format than float32. */
  tableRows?: TableRows
  /** The full graph with float32 tables, which judges int8, if those of `float32` have narrow rows. */
  reference?: VariantFile
  /**
   * Tables whose rows may change while the plan is served, if the version declares live fields. `saved` computes every
   * output that may be requested, if there are others than the compiled one.
   */
  live?: LiveTables & { saved?: VariantFile }
  /** Why there are none, if it does. */
  liveProblem?: string
  /** Files of the saved graph that hold the plan's tables, for want of room for copies. */
  tables: TableFile[]
  /** Size and SHA-256 of every file; for files too large to hash at each start, the time of the last change, ms. */
  files: Record<string, { bytes: number; sha256: string; changed?: number }>
}

/** A plan that is ready to be loaded; it can be sent to another thread. */
export interface CompiledPlan {
  folder: string
  description: PlanDescription
  /** The precision that is served, after the requested one was evaluated on this machine. */
  precision: Precision
  /** The library that computes products in bfloat16 or int8, such as `oneDNN 3.2.0, AMX`, or ONNX Runtime, and why. */
  products?: string
  /** Whether oneDNN computes the graphs, where it is the faster. */
  onednn?: boolean
  /** Why this one was chosen by what it costs on this machine. */
  choice?: string
  verdict: Verdict | undefined
  /** Why the requested precision is not served. */
  precisionProblem: string | undefined
  /** A `temporary` plan is removed when the model is closed. */
  origin: 'compiled' | 'cached' | 'temporary'
  /** Why it could not be stored in the cache, and what follows; absent where it is there, or was not meant to be. */
  unstored?: string
  /** Costs of the graphs, if they are not to be measured. */
  costs?: PlanCosts
}

/** The files of a plan's graphs in the precision that is served. bfloat16 computes the float32 graphs. */
export function filesOf({ description, precision }: Pick<CompiledPlan, 'description' | 'precision'>): VariantFiles {
  return precision === 'int8' ? description.int8! : description.float32
}

/** The full graph in float32, tables too. */
export function exactGraph({ reference, float32 }: PlanDescription): VariantFile {
  return reference ?? float32.full
}

/** The precision of the products that oneDNN computes in a plan, where it is the faster; otherwise undefined. */
export function onednnPrecision({
  precision,
  onednn,
}: Pick<CompiledPlan, 'precision' | 'onednn'>): Exclude<Precision, 'float32'> | undefined {
  return onednn && precision !== 'float32' ? precision : undefined
}

/** Duration of a graph's call for one request: `a`·rows + `b`, µs. */
export interface Cost {
  /** The engine that computes it, where oneDNN can: the faster of the two on this machine. */
  engine?: 'onednn' | 'onnx'
  a: number
  b: number
  /** The same for a request that shares a call with others; default: as alone. */
  joined?: { a: number; b: number }
  /** The same where lists have one value each, if the graph cuts them to their lengths; otherwise they are whole. */
  short?: Omit<Cost, 'engine' | 'short'>
}

export type PlanCosts = Record<'full' | 'shared_context' | 'candidate_encoder' | 'cached', Cost> & {
  /** Duration of a cache miss, µs; default: 0. */
  lookUp?: number
  /**
   * The cost of the graph as saved. It computes the rows of the full variant where it is clearly cheaper and may do so
   * (see `mayServeSaved`).
   */
  saved?: Cost
}
export type Precision = 'float32' | 'bfloat16' | 'int8'

/** Formats of table rows that look-ups widen to float32. */
export type NarrowFormat = Exclude<TableFormat, 'float32'>

export interface TableRows {
  /** The format of the plan's large tables: the requested one, or float32. */
  format: TableFormat
  /** How answers differ from those with float32 tables on held-out rows. */
  verdict?: Verdict
  /** Why it is not the requested format. */
  problem?: string
}

/** Deviation of a plan's answers from those of the float32 plan. */
export interface TaskDifference {
  task: string
  /** AUC of float32 − AUC of the plan; null without labels, or with too few of them. */
  auc_loss: number | null
  /** |mean prediction ÷ float32's − 1|. */
  mean_change: number
  /** 99th percentile of the absolute difference of logits, and the largest. */
  logit_p99: number
  logit_max: number
}

export interface Verdict {
  passed: boolean
  rows: number
  tasks: TaskDifference[]
  /** Limits that it exceeds. */
  reasons: string[]
}
/** Effect of a pass on a graph. */
export interface PassReport {
  pass: string
  /** Number of changes. */
  changes: number
  /** Nodes that it considered and left unchanged, with reasons. */
  left: string[]
  /** After the pass. */
  nodes: number
  /** After the pass, multiplications (and additions) of all products by constants: per row, and once per request. */
  multiplications: number
  multiplications_once: number
  /** After the pass, bytes of all constants. */
  bytes: number
}
/** How much computation is spent on accuracy. */
export interface Effort {
  /**
   * Average ratio of a value's weights to the weights of embeddings above which the value is repeated, so that each
   * copy has a share of its weights.
   */
  spread: number
  /**
   * Copies of every input of a product that computes a hidden layer: each weight is then a sum of this number of int8
   * values, which divides its rounding error and multiplies the work by the number of copies.
   */
  copies: number
  /**
   * Products whose weights are sums of two int8 terms: those in the first layers that are not hidden layers (`gates`),
   * or all that are not hidden layers (`all`).
   */
  refine: 'none' | 'gates' | 'all'
}
/** A first layer, or a tensor that depends on one side alone, as the cached variant is given it. */
export interface LayerParts {
  /** Columns of its output. */
  width: number
  /** Whether the candidate has a part in it, which is kept; kept layers come first. */
  kept: boolean
  /** Whether the cached variant takes the sum of the parts after the ReLU. */
  relu: boolean
  /** Its first column in the output of the context encoder; −1 if it does not read the context. */
  context: number
}

/** Columns of one input of the saved graph that are one input of a plan's graph, [rows, columns]. */
export interface PackedInput {
  name: string
  input: string
  columns: number[]
}
/** Identifies the version of an external data file. */
export interface TableFile {
  path: string
  bytes: number
  /** Time of the last change, ms. */
  changed: number
}
