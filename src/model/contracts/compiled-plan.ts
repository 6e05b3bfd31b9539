/** One graph of a plan: its file, and which columns of the saved graph's inputs each of its inputs takes. */
export interface VariantFile {
  file: string
  context: PackedInput[]
  rows: PackedInput[]
}

export interface VariantFiles {
  full: VariantFile
  shared_context?: VariantFile
  candidate_encoder?: VariantFile
  context_encoder?: VariantFile
  cached?: VariantFile
  layers: LayerParts[]
  /** Why the graph is not taken apart by side, if so. */
  unsplit?: string
}

export interface PlanDescription {
  compiler: number
  /** Inputs of the saved graph: [rows, width]; `ids`: negative ones are to be refused, where the format alone doesn't say so. */
  inputs: { name: string; dtype: 'int32' | 'float32'; width: number; ids?: true }[]
  output: string
  /** Columns of the output. */
  width: number
  passes: PassReport[]
  float32: VariantFiles
  int8?: VariantFiles & { effort: Effort; passes: PassReport[] }
  int8Problem?: string
  /** Files of the saved graph that the plan's tables were taken from. */
  tables: TableFile[]
  /** Bytes and SHA-256 of every file; of one that is too large to hash each time, when it was last changed, ms. */
  files: Record<string, { bytes: number; sha256: string; changed?: number }>
}

/** A plan that is ready to be loaded; what crosses threads. */
export interface CompiledPlan {
  folder: string
  description: PlanDescription
  /** What is served, after int8 was judged here. */
  precision: Precision
  verdict: Verdict | undefined
  /** Why another precision is served than was asked for. */
  precisionProblem: string | undefined
  /** Where it came from; `temporary` ones are removed when the model is closed. */
  origin: 'compiled' | 'cached' | 'temporary'
  /** What each graph costs, where that is not to be measured. */
  costs?: PlanCosts
}

/** What a call of a graph takes for one request: `a`·rows + `b`, µs. */
export interface Cost {
  a: number
  b: number
  /** What a request takes that shares the call of others: the same; default: as much as alone. */
  joined?: { a: number; b: number }
}

export type PlanCosts = Record<'full' | 'shared_context' | 'candidate_encoder' | 'cached', Cost> & {
  /** To look up a candidate that was never seen, µs; default: nothing. */
  lookUp?: number
}
export type Precision = 'float32' | 'int8'
/** How far a plan's answers are from those of the float32 plan. */
export interface TaskDifference {
  task: string
  /** AUC of float32 − AUC of the plan; null where there are no labels, or so few that one pair would decide. */
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
  /** What it fails on. */
  reasons: string[]
}
/** What a pass did to a graph. */
export interface PassReport {
  pass: string
  /** Places it changed. */
  changes: number
  /** Places it looked at and left alone, and why. */
  left: string[]
  /** After it. */
  nodes: number
  /** After it: multiplications (and additions) of all products by constants: for each row, and once a request. */
  multiplications: number
  multiplications_once: number
  /** After it: bytes of all constants. */
  bytes: number
}
/** What is paid for exactness, in work. */
export interface Effort {
  /**
   * How many times larger than the weights of tables a value's weights may be, on average, before the value is repeated
   * so that each copy has a share of them.
   */
  spread: number
  /**
   * How often every input of a product that makes a hidden layer is repeated: its weights then are sums of so many int8,
   * which divides their rounding error, and multiplies the work, by as much.
   */
  copies: number
  /**
   * Products whose weights are written as two int8 terms: those that make no hidden layer of the first (`gates`), or of
   * any (`all`).
   */
  refine: 'none' | 'gates' | 'all'
}
/** What the parts of a first layer are. */
export interface LayerParts {
  /** Columns of its output. */
  width: number
  /** Whether `known` takes the sum of its parts after its ReLU. */
  relu: boolean
  /** The first of its columns in the contexts' part; −1: the context has none. */
  context: number
}

/** Columns of one input of the saved graph that a plan takes as one input of its own, [rows, columns]. */
export interface PackedInput {
  name: string
  input: string
  columns: number[]
}
/** A file of external data: which one it was. */
export interface TableFile {
  path: string
  bytes: number
  /** When it was last changed, ms. */
  changed: number
}
