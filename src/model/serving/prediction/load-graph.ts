import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../base/clock.ts'
import { reasonOf } from '../../../base/errors.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { ReadyCatalogue } from '../../contracts/catalogue.ts'
import type { CompiledPlan } from '../../contracts/compiled-plan.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import type { ListColumns } from '../../contracts/list-length.ts'
import { descriptionFile } from '../../engines/catalogue/key-index.ts'
import { takesSaved } from '../../engines/plan/choose-variant.ts'
import { type PlanCostsInUse, placeOf, readKept } from '../../engines/plan/plan-cost.ts'
import type { PooledGraph } from '../../engines/pool/engine-pool.ts'
import { touchPlan } from '../../graph/compile/plan-files.ts'
import { removeTemporary } from '../../graph/compile/prepare.ts'
import { prepareInThread } from '../../graph/compile/prepare-in-thread.ts'
import type { PrepareRequest } from '../../graph/compile/prepare-request.ts'
import type { InputRows } from '../../graph/int8/observe-ranges.ts'
import type { Sides } from '../../graph/sides/split-graphs.ts'
import { type QuantizationRows, readQuantizationRows } from '../bundle/quantization.ts'
import type { Bundle } from '../bundle/read.ts'
import { type Layout, layoutOf } from '../features/layout.ts'
import { type Bindings, bindingsOf, namedInputs } from './bindings.ts'
import { refusals, wantsRounding } from './describe-plan.ts'
import type { CompileOutcome, LoadOptions } from './loaded-model.ts'

/** ONNX Runtime alone runs compiled plans. */
const compilingEngine = 'onnx'

/**
 * Compiles a version's graph, or takes its plan from the cache, and loads it into every worker. A graph that can't be
 * compiled is loaded as it was saved.
 */
export async function loadGraph(
  bundle: Bundle,
  outputs: string[],
  { pool, compiler, clock }: LoadOptions,
): Promise<{ graph: PooledGraph; compiled: CompileOutcome }> {
  const { manifest } = bundle
  const source = savedGraph(bundle, outputs)
  let seconds = 0
  const leave = async (reason: string | undefined, unstored?: string) => {
    const graph = await pool.load(source)
    const { engine } = graph.signature
    const problem = engine === undefined ? reason : `${reason === undefined ? '' : `${reason}; `}${engine} computes it`
    return {
      graph,
      compiled: { source, plan: undefined, problem, unstored, seconds, dispose: async () => undefined },
    }
  }
  if (compiler === undefined) return leave(undefined)
  const warn = (message: string) => compiler.onWarning?.(`${manifest.name}/${manifest.version}: ${message}`)
  if (pool.engine !== compilingEngine)
    return leave(
      manifest.precision === 'float32' ? undefined : `${manifest.precision} needs the engine ${compilingEngine}`,
    )

  const { rows, problem: rowsProblem } = await quantizationOf(bundle)
  const started = clock.now()
  const prepared = await prepareInThread({
    ...describeGraph(manifest, rows),
    source,
    cache: compiler.cache,
    cacheBytes: compiler.cacheBytes,
    now: compiler.now(),
  })
  seconds = (clock.now() - started) / 1000
  const { problem, warnings } = prepared
  const plan = prepared.plan && {
    ...withRowsProblem(prepared.plan, manifest, rowsProblem),
    ...(compiler.costs && { costs: compiler.costs }),
  }
  for (const warning of warnings) warn(warning)
  if (plan === undefined) {
    warn(`the graph runs as it was saved: ${problem}`)
    return leave(problem, prepared.unstored)
  }
  for (const refusal of refusals(plan, manifest)) warn(refusal)
  const stopTouching = keepInCache(plan, clock)
  const dispose = async () => {
    stopTouching()
    await removeTemporary(plan)
  }
  try {
    const cacheBytes = Math.floor(compiler.candidateBytes / pool.size)
    const catalogueThen = await catalogueStamp(plan)
    const catalogue = await catalogueOf(plan, catalogueThen)
    const planned = { ...source, plan, cacheBytes, ...(catalogue.ready && { catalogue: catalogue.ready }) }
    const graph = await pool.load(planned)
    const catalogueProblem = catalogue.problem ?? graph.signature.catalogueProblem
    if (catalogueProblem !== undefined) warn(`the catalogue is not used: ${catalogueProblem}`)
    return {
      graph,
      compiled: {
        source: planned,
        plan,
        problem: undefined,
        ...(catalogueProblem !== undefined && { catalogueProblem }),
        seconds,
        isOutdated: async () => ![catalogueThen, undefined].includes(await catalogueStamp(plan)),
        dispose,
      },
    }
  } catch (error) {
    await dispose()
    warn(`the compiled plan can't be loaded, the graph runs as it was saved: ${reasonOf(error)}`)
    return leave(`the compiled plan can't be loaded: ${reasonOf(error)}`)
  }
}

/** Rows that can't be read are none to the compiler: the reason is put in the place of its own. */
function withRowsProblem(plan: CompiledPlan, { precision }: Manifest, problem: string | undefined): CompiledPlan {
  if (problem === undefined) return plan
  const { tableRows } = plan.description
  return {
    ...plan,
    ...(precision !== 'float32' && { precisionProblem: problem }),
    ...(tableRows && { description: { ...plan.description, tableRows: { ...tableRows, problem } } }),
  }
}

/** The catalogue beside a plan, or why it is unusable: neither keeps a version from being served. */
async function catalogueOf(
  plan: CompiledPlan,
  stamp: string | undefined,
): Promise<{ ready?: ReadyCatalogue | undefined; problem?: string }> {
  if (stamp === undefined) return {}
  try {
    const { readCatalogue } = await import('../../engines/catalogue/read-catalogue.ts')
    return { ready: await readCatalogue(plan) }
  } catch (error) {
    return { problem: reasonOf(error) }
  }
}

/** Changes with the catalogue beside a plan; undefined where there is none. Never rejects. */
async function catalogueStamp(plan: CompiledPlan): Promise<string | undefined> {
  const found = await stat(join(plan.folder, descriptionFile(plan.precision)), { bigint: true }).catch(() => undefined)
  return found && `${found.ino} ${found.mtimeNs} ${found.size}`
}

/** How often a plan that is served says that it is in use, ms: plans that nobody uses are removed after a week. */
const touchedEvery = 12 * 3600 * 1000

/** Keeps other processes from removing a plan while it is served; answers how to stop. */
function keepInCache({ folder }: CompiledPlan, clock: Clock): () => void {
  let stop = clock.after(touchedEvery, touch)
  function touch() {
    touchPlan(folder)
    stop = clock.after(touchedEvery, touch)
  }
  return () => stop()
}

/** Outputs that may be asked for. */
export function outputsOf(manifest: Manifest): string[] {
  const { graph } = manifest
  const { logits, gates } = graph.outputs
  return [
    ...new Set([
      bindingsOf(manifest).probabilities,
      ...(logits === undefined ? [] : [logits]),
      ...Object.values(gates ?? {}),
    ]),
  ]
}

/** A version's graph as it was saved. */
export function savedGraph({ folder, manifest }: Bundle, outputs: string[]): GraphSource {
  const { format, file, signature } = manifest.graph
  const { joined } = bindingsOf(manifest)
  return { folder, format, file, outputs, ...(signature !== undefined && { signature }), ...(joined && { joined }) }
}

/** The description of a version's graph that the compiler needs. */
export function describeGraph(
  manifest: Manifest,
  rows: QuantizationRows | undefined,
): Omit<PrepareRequest, 'source' | 'cache' | 'now'> {
  const { precision, keep_precision: keep = false, tables, files } = manifest
  const ports = bindingsOf(manifest)
  const layout = layoutOf(manifest)
  const sides: Record<string, Sides[string]> = {}
  const sparse = layout.sparse.map(({ field }) => field.side)
  const dense = layout.dense.map(({ field }) => field.side)
  if (ports.sparse !== undefined) sides[ports.sparse] = sparse
  if (ports.dense !== undefined) sides[ports.dense] = dense
  const fields = layout.sparse.map(({ offset, ids }) => ({ offset, ids }))
  const lists = listColumns(layout, ports)
  const live = layout.sparse.flatMap(({ offset, ids, field }, column) =>
    field.kind !== 'crossed' && (field.owner ?? field).live === true ? [{ column, offset, ids }] : [],
  )
  return {
    output: ports.probabilities,
    sides,
    fields: ports.sparse === undefined ? {} : { [ports.sparse]: fields },
    ...(lists.length > 0 && { lists }),
    precision,
    onlyIfFaster: !keep,
    tables,
    ...(live.length > 0 && precision === 'float32' && { live: { input: ports.sparse!, columns: live } }),
    quantization: rows && halves(manifest, rows, sparse.length, dense.length),
    identity: JSON.stringify(files),
  }
}

/** The lists of each sequence, as columns of the graph's inputs; a list of weights is one of its own. */
function listColumns({ groups, crossed }: Layout, { sparse, dense }: Bindings): ListColumns[] {
  const columnsFrom = (first: number, width: number) => Array.from({ length: width }, (_, i) => first + i)
  return groups.flatMap(({ members, max, exact, index }) => {
    if (exact) return []
    const { field } = members[0]!.encoder
    const sequence = field.kind === 'vector' ? undefined : field.sequence
    const lists = members.flatMap(({ sparse: isSparse, column, weights, width, padding }) => [
      { input: (isSparse ? sparse : dense)!, columns: columnsFrom(column, width), padding },
      ...(weights === undefined ? [] : [{ input: dense!, columns: columnsFrom(weights, width), padding: 0 }]),
    ])
    // Crossed fields made of the list have a value where it has one.
    const made = crossed.flatMap(({ list, column, offset }) =>
      list?.group === index ? [{ input: sparse!, columns: columnsFrom(column, list.width), padding: offset }] : [],
    )
    return [{ name: sequence ?? field.name, size: max, members: [...lists, ...made] }]
  })
}

/** The first half of the rows sets scales, the second judges. */
function halves(
  manifest: Manifest,
  { rows, sparse, dense, labels }: QuantizationRows,
  sparseWidth: number,
  denseWidth: number,
): PrepareRequest['quantization'] {
  const { tasks } = manifest
  const half = Math.ceil(rows / 2)
  const part = (from: number, to: number): InputRows => ({
    rows: to - from,
    inputs: namedInputs(
      manifest,
      sparse.slice(from * sparseWidth, to * sparseWidth),
      dense.slice(from * denseWidth, to * denseWidth),
    ),
  })
  return {
    scales: part(0, half),
    judged: { ...part(half, rows), labels: labels?.slice(half * tasks.length), tasks: tasks.map(({ name }) => name) },
  }
}

/** Needed for int8 and narrow tables alone: a version that does without is served whatever they are like. */
async function quantizationOf(
  bundle: Bundle,
): Promise<{ rows: QuantizationRows | undefined; problem: string | undefined }> {
  if (!wantsRounding(bundle.manifest)) return { rows: undefined, problem: undefined }
  try {
    return { rows: await readQuantizationRows(bundle), problem: undefined }
  } catch (error) {
    return { rows: undefined, problem: reasonOf(error) }
  }
}

/** Costs that workers have measured of a plan's graphs, where they are kept. */
export async function keptCostsOf({ plan }: CompileOutcome): Promise<PlanCostsInUse | undefined> {
  if (plan === undefined || plan.costs !== undefined) return undefined
  const kept = await readKept(placeOf(plan))
  return kept && { ...kept, takesSaved: takesSaved(plan, kept.costs) }
}
