import type { Clock } from '../../../base/clock.ts'
import type { Violation } from '../../../base/errors.ts'
import type { EvaluationReport } from '../../../schemas/evaluation.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { TableFormat } from '../../../schemas/precision.ts'
import type { PredictOptions } from '../../../schemas/predict.ts'
import type { CatalogueDescription } from '../../contracts/catalogue.ts'
import type { CompiledPlan, PassReport, PlanCosts, Precision, Verdict } from '../../contracts/compiled-plan.ts'
import type { GraphSource, GraphStats, Tenant } from '../../contracts/engine.ts'
import type { PredictionTable } from '../../contracts/prediction.ts'
import type { PlanCostsInUse } from '../../engines/plan/plan-cost.ts'
import type { EnginePool } from '../../engines/pool/engine-pool.ts'
import type { FairShare } from '../batching/fair-share.ts'
import type { BatcherStats, BatchObserver, BatchRequest } from '../batching/submission.ts'
import type { DeltaEvent } from '../delta-files/delta-follower.ts'
import type { LiveVersion } from '../deltas/live-version.ts'
import type { Drift, Observed } from '../drift/monitor.ts'
import type { Encoder } from '../features/encoder.ts'
import type { EncodedRequest } from '../features/layout.ts'
import type { TableHandle } from '../tables/table-handles.ts'
import type { Tables } from '../tables/tables.ts'
import type { QueryRows } from './query-rows.ts'
import type { WarmUpRows } from './recent-rows.ts'
import type { ModelTensors } from './tensors.ts'

export interface Query {
  rows: QueryRows
  /** Default: all, derived ones too. */
  tasks?: string[] | undefined
  options?: PredictOptions | undefined
  /** Problems found before, reported together with the others. */
  problems?: readonly Violation[] | undefined
  /** The answer has no place for rows that are left out: a candidate whose key is unknown is refused instead. */
  whole?: boolean | undefined
  /** Whose request it is; undefined where there is only one tenant. */
  tenant?: Tenant | undefined
  /** When the answer is of no use any more, on the model's clock, ms. */
  deadline: number
  /** Called when rows of it begin to be computed, with the moment on the model's clock, ms; perhaps several times. */
  begun?: BatchRequest['begun']
  /** Receives what its answer is made of. */
  follower?: AnswerFollower | undefined
}

export interface AnswerFollower {
  /** The feature tables by which rows are encoded, by name; not called where the model has none. */
  reads(tables: Readonly<Record<string, TableHandle>>): void
  /**
   * Called with the rows and the graph's probabilities, float32 [rows, tasks], before an answer is made of them: the
   * memory of both is used again.
   */
  answered(rows: EncodedRequest, probabilities: Float32Array | undefined): void
}

export interface PendingPrediction {
  /** Rows that are computed. */
  rows: number
  /** Seconds that encoding took. */
  encodeSeconds: number
  /** Seconds that the engine takes for it, by its cost model; 0 where it is not asked. */
  engineSeconds: number
  /** Whether statistics of the traffic count it. */
  observed: boolean
  table: Promise<PredictionTable>
  /** The table that `table` resolves with, if it was computed immediately. */
  computed?: PredictionTable | undefined
  /** Gives the request up; `table` rejects with CANCELLED. */
  cancel(): void
}

/** A model version that is loaded, verified and warm. */
export interface LoadedModel {
  manifest: Manifest
  encoder: Encoder
  /** The tensors that clients may send, and those that they may get. */
  tensors: ModelTensors
  /** There is no manifest on disk: no named features, and answers that may be any numbers. */
  manifestless: boolean
  /** The engine that computes its graph: the pool's, or another for a graph that this one can't run. */
  engine: string
  plan: ServedPlan
  /** Its deltas; undefined where no field is live. */
  live?: Pick<LiveVersion, 'refresh' | 'status' | 'counts'> | undefined
  /** Most rows of a request; and how long an idle worker waits for more, ms. */
  limits: Pick<LoadOptions, 'maxRequestRows' | 'maxListValues' | 'maxDelayMs'>
  /** Whether a file beside its own, as its catalogue is, has changed since it was loaded. Never rejects. */
  isOutdated?: (() => Promise<boolean>) | undefined
  /** Rows that the workers have computed, by plan, and what they keep; undefined where the engine doesn't count. */
  graphStats(): Promise<GraphStats | undefined>
  /** Problems of a query's tasks and options, and its `problems`. Throws INVALID_REQUEST for the hundredth. */
  check(query: Pick<Query, 'tasks' | 'options' | 'problems'>): Violation[]
  /** Throws INVALID_REQUEST and TOO_MANY_ROWS synchronously; the promise rejects with all other errors. */
  predict(query: Query): PendingPrediction
  stats(): BatcherStats
  /** How far live traffic has moved from what the model was judged on. */
  drift(): Drift[]
  /** Live values beside those that the model was judged on. */
  observed(): Observed[]
  /** Costs of its plan's variants, if they are kept beside the plan: nothing is measured for it. */
  keptCosts(): Promise<PlanCostsInUse | undefined>
  /** The report of its evaluation; undefined if it has none. Rejects with INVALID_BUNDLE where it is malformed. */
  evaluation(): Promise<EvaluationReport | undefined>
  /** Encoded rows of the last requests that workers computed. */
  recentRows(): readonly WarmUpRows[]
  /** Answers what is accepted, then frees everything. Idempotent. */
  close(): Promise<void>
  /** Rejects what is accepted. */
  destroy(error: unknown): void
}

/** The options that a version keeps while it is loaded. */
export interface LoadOptions {
  pool: EnginePool
  clock: Clock
  /** Where and how graphs are compiled; undefined: they run as they were saved. */
  compiler?: CompilerOptions
  /** Shares the pool's workers with other models; default: not shared. */
  share?: FairShare
  maxBatchRows: number
  maxDelayMs: number
  maxQueueRows: number
  maxRequestRows: number
  /** Most values of a request's lists and vectors; default: any number. */
  maxListValues?: number | undefined
  observer?: BatchObserver
  /** Asks a version, as its clients will, before it is served; what it is asked then is no traffic. */
  rehearse?(model: LoadedModel): Promise<void>
  /** Reports what becomes of the version's deltas. */
  onDelta?(event: DeltaEvent): void
  /** Why deltas are refused, whatever the version. */
  refuseDeltas?: string | undefined
  /** The tables that entities of manifests name; without them, requests send all features. */
  tables?: Pick<Tables, 'current' | 'guard' | 'handles' | 'refresh'>
  /** Called for values that the model doesn't know, with their number. */
  onUnknown?(field: string, values: number): void
  /** Called for the keys of each request: how many a table has, and those that it has not, or some of `count`. */
  onKeys?(entity: string, found: number, unknown: readonly string[], count: number): void
  /** Called for every list that is cut, with the number of values that it loses. */
  onCut?(field: string, values: number): void
}

export interface CompilerOptions {
  /** Folder of compiled plans; undefined: they are kept nowhere. */
  cache: string | undefined
  /** Most that they may take, bytes; 0 or undefined: no limit. */
  cacheBytes?: number
  /** Memory for what is kept of candidates, of all workers together, bytes; 0 for none. */
  candidateBytes: number
  /** Milliseconds since 1970. */
  now(): number
  /** Receives warnings, which don't stop the version. */
  onWarning?(message: string): void
  /** Costs of the plan's graphs, instead of those that each worker would measure: so tests decide which way rows go. */
  costs?: PlanCosts
}
/** How a version is computed. */
export interface ServedPlan {
  workers: number
  maxBatchRows: number
  precision: Precision
  /** The library that computes products in bfloat16 or int8. */
  products?: string
  /** Format of the rows of large tables. */
  tables: TableFormat
  /** The graph was compiled. */
  compiled: boolean
  /** Time to compile it, or to take its plan from the cache, s. */
  compileSeconds: number
  /** The first layer is computed by side: the context once a request, known candidates not at all. */
  split: boolean
  /**
   * Why the graph runs as it was saved, or in another precision or with other tables than asked for, or is not taken
   * apart by side.
   */
  notes: string[]
  /**
   * Why the compiled plan could not be stored in the cache, and what follows; undefined where it is there, or was not
   * meant to be.
   */
  unstored: string | undefined
  /** How int8 compares with float32 on held-out rows. */
  verdict: Verdict | undefined
  /** The compiler's passes over the float32 graph, in order; none where it runs as it was saved. */
  passes: PassReport[]
  /** How answers with narrow tables compare with those of float32 on held-out rows. */
  tablesVerdict: Verdict | undefined
  /** The catalogue of candidates, computed ahead of requests. */
  catalogue?: CatalogueDescription
}

/** The outcome of compiling. */
export interface CompileOutcome {
  /** The source that was loaded. */
  source: GraphSource
  plan: CompiledPlan | undefined
  problem: string | undefined
  /** Why no folder could take the plan, where that is the problem. */
  unstored?: string | undefined
  /** Why its catalogue is not used. */
  catalogueProblem?: string
  seconds: number
  /** Whether another catalogue than it has is beside its plan. Never rejects. */
  isOutdated?: () => Promise<boolean>
  /** Removes what is in nobody's cache. */
  dispose(): Promise<void>
}
