import type { Manifest } from '../../../schemas/manifest.ts'
import { type CompiledPlan, filesOf, type Verdict } from '../../contracts/compiled-plan.ts'
import type { PooledGraph } from '../../engines/pool/engine-pool.ts'
import type { Bundle } from '../bundle/read.ts'
import { followVersion, type LiveVersion } from '../deltas/live-version.ts'
import type { CompileOutcome, LoadOptions, ServedPlan } from './loaded-model.ts'

/* The outcome of compiling a version's graph, for `GET /models/{model}` and the log. */

/** Whether answers of the version may be rounded: its quantization rows judge them. */
export function wantsRounding({ precision, tables = 'float32' }: Manifest): boolean {
  return precision !== 'float32' || tables !== 'float32'
}

/** Whether answers of the plan are rounded: golden rows have more digits than they. */
export function isRounded({ plan }: CompileOutcome): boolean {
  return plan !== undefined && (plan.precision !== 'float32' || tablesOf(plan) !== 'float32')
}

const tablesOf = ({ description }: CompiledPlan) => description.tableRows?.format ?? 'float32'

/** Why the plan has another precision than the one that is asked for. */
export function refusedPrecision({ precisionProblem }: CompiledPlan, precision: Manifest['precision']): string[] {
  return precisionProblem === undefined ? [] : [`float32 is served, not ${precision}: ${precisionProblem}`]
}

/** The precision that was chosen by what it costs on this machine, and why. */
export function chosenPrecision(plan: CompiledPlan, asked: Manifest['precision']): string[] {
  const { precision, choice } = plan
  return choice === undefined ? [] : [`precision ${asked}: ${precision} is served; ${choice}`]
}

/** Why the plan has another precision, or other tables, than the manifest asks for. */
export function refusals(plan: CompiledPlan, { precision, tables }: Manifest): string[] {
  const problem = plan.description.tableRows?.problem
  return [
    ...refusedPrecision(plan, precision),
    ...(problem === undefined ? [] : [`float32 tables are served, not ${tables}: ${problem}`]),
  ]
}

/** The outcome for the precision and the tables that the manifest asks for. */
export function roundingNotes(plan: CompiledPlan, manifest: Manifest): string[] {
  const { precision, verdict, description } = plan
  const served = [
    precision === 'float32' ? undefined : verdict,
    tablesOf(plan) === 'float32' ? undefined : description.tableRows?.verdict,
  ]
  const unjudged = new Set(served.flatMap((one) => one?.tasks ?? []).flatMap(unjudgedTask))
  return [
    ...refusals(plan, manifest),
    ...chosenPrecision(plan, manifest.precision),
    ...(unjudged.size === 0
      ? []
      : [
          `the AUC of ${[...unjudged].join(', ')} was not compared: its quantization rows have too few labels, or of one class`,
        ]),
  ]
}

function notesOf(
  plan: CompiledPlan,
  manifest: Manifest,
  unsplit: string | undefined,
  catalogueProblem: string | undefined,
): string[] {
  return [
    ...roundingNotes(plan, manifest),
    ...Object.entries(plan.description.paddedLists ?? {}).map(
      ([list, reason]) => `the padding of ${list} is computed like values: ${reason}`,
    ),
    ...(unsplit === undefined ? [] : [`the graph is not taken apart by side: ${unsplit}`]),
    ...(catalogueProblem === undefined ? [] : [`the catalogue is not used: ${catalogueProblem}`]),
  ]
}

const unjudgedTask = ({ task, auc_loss }: Verdict['tasks'][number]) => (auc_loss === null ? [task] : [])

export function describePlan(
  manifest: Manifest,
  compiled: CompileOutcome,
): Omit<ServedPlan, 'workers' | 'maxBatchRows'> {
  const described = describeCompiled(manifest, compiled)
  const live = liveProblem(manifest, compiled)
  return live === undefined ? described : { ...described, notes: [...described.notes, `deltas are refused: ${live}`] }
}

function describeCompiled(
  manifest: Manifest,
  { plan, problem, unstored, seconds: compileSeconds, source, catalogueProblem }: CompileOutcome,
): Omit<ServedPlan, 'workers' | 'maxBatchRows'> {
  if (plan === undefined) {
    const notes = problem === undefined ? [] : [`the graph runs as it was saved: ${problem}`]
    const { precision, tables = 'float32' } = manifest
    if (precision !== 'float32') notes.push(`float32 is served: ${precision} needs a compiled plan`)
    if (tables !== 'float32') notes.push(`float32 tables are served: ${tables} needs a compiled plan`)
    return {
      precision: 'float32',
      tables: 'float32',
      compiled: false,
      compileSeconds,
      split: false,
      notes,
      unstored,
      verdict: undefined,
      tablesVerdict: undefined,
      passes: [],
    }
  }
  const set = filesOf(plan)
  return {
    precision: plan.precision,
    ...(plan.products !== undefined && { products: plan.products }),
    tables: tablesOf(plan),
    compiled: true,
    compileSeconds,
    split: set.shared_context !== undefined || set.cached !== undefined,
    notes: notesOf(plan, manifest, set.unsplit, catalogueProblem),
    unstored: plan.unstored,
    verdict: plan.verdict,
    tablesVerdict: plan.description.tableRows?.verdict,
    passes: plan.description.passes,
    ...(source.catalogue && catalogueProblem === undefined && { catalogue: source.catalogue.description }),
  }
}

/** Whether rows of a table of the version may change while it is served. */
export function hasLiveFields({ features }: Pick<Manifest, 'features'>): boolean {
  return features.some((field) => 'live' in field && field.live === true)
}

/** Why a version with live fields can't have its rows replaced; undefined where it can, and where it has none. */
export function liveProblem(manifest: Manifest, { plan, problem }: CompileOutcome): string | undefined {
  if (!hasLiveFields(manifest)) return undefined
  if (manifest.precision !== 'float32') return `live fields need the precision float32, not ${manifest.precision}`
  if (plan === undefined) return `live fields need a compiled graph${problem === undefined ? '' : `: ${problem}`}`
  if (plan.description.live === undefined) return plan.description.liveProblem ?? 'the graph has no live tables'
  return undefined
}

/** The deltas of a version that is loaded; undefined where it has no live fields. */
export function createLiveVersion(
  { folder, manifest }: Bundle,
  compiled: CompileOutcome,
  graph: PooledGraph,
  { clock, compiler, onDelta, refuseDeltas }: LoadOptions,
): LiveVersion | undefined {
  if (!hasLiveFields(manifest)) return undefined
  const problem = liveProblem(manifest, compiled)
  return followVersion({
    folder,
    manifest,
    live: problem ?? refuseDeltas ?? compiled.plan!.description.live!,
    serve: (overlay) => graph.setOverlay!(overlay),
    clock,
    now: compiler?.now ?? Date.now,
    onEvent: onDelta,
  })
}
