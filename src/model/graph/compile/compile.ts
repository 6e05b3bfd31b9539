import type { Effort, Verdict } from '../../contracts/compiled-plan.ts'
import type { ListColumns } from '../../contracts/list-length.ts'
import type { LiveColumns } from '../../contracts/live-tables.ts'
import { equalise } from '../int8/equalise.ts'
import { compareLogits, type JudgedRows, logitsOf, meanShift, passesClearly } from '../int8/judge.ts'
import { calibrate, type InputRows } from '../int8/observe-ranges.ts'
import { quantise, shiftLogits } from '../int8/quantise.ts'
import type { FieldIds, TableScales } from '../int8/quantised-table.ts'
import type { Graph } from '../ir/graph.ts'
import { cutLists } from '../lists/cut-lists.ts'
import { cutRegions, uncut } from '../sides/cut-regions.ts'
import { joinedPairs, joinPairProducts } from '../sides/pair-products.ts'
import type { CutGraph, Sides, VariantGraph } from '../sides/split-graphs.ts'
import { splitSides } from '../sides/split-sides.ts'
import { fullVariant } from '../sides/tensor-names.ts'
import { type CompiledGraph, changeEach, type Plans } from './compiled-graph.ts'
import { findLiveTables } from './find-live-tables.ts'
import { type NarrowOptions, narrowPlans } from './narrow-tables.ts'
import { optimise, passReport, type Watch } from './optimise.ts'
import { overlayVariant } from './overlays.ts'

export interface CompileOptions {
  /** Per input, the side of each column; if unknown, the graph is not split. */
  sides: Sides | undefined
  /** Per input of ids, the ids that each column can hold, if known. */
  fields: Record<string, FieldIds[]>
  /** The lists among the columns of its inputs; default: none. */
  lists?: readonly ListColumns[]
  /** Rows for int8: the first half sets its scales, the second evaluates it. Without them int8 is not compiled. */
  quantization: { scales: InputRows; judged: JudgedRows | undefined } | undefined
  /** Columns whose table rows may change while the plan is served; not with int8. */
  live?: LiveColumns | undefined
  /** The format of the rows of large tables, and what judges it; default: float32. */
  tables?: NarrowOptions | undefined
  /** Receives the graph after each pass. */
  watch?: Watch
}

/**
 * Efforts of int8, cheapest first: the first that passes its evaluation by a margin is taken. Measured: copies of dense
 * values matter most, second terms for the last layers next.
 */
const efforts: Effort[] = [
  { spread: 4, copies: 1, refine: 'none' },
  { spread: 1, copies: 1, refine: 'gates' },
  { spread: 1, copies: 1, refine: 'all' },
  { spread: 1, copies: 2, refine: 'all' },
  { spread: 0.5, copies: 4, refine: 'all' },
]

/**
 * Compiles a saved graph into cheaper graphs with the same outputs. Changes `graph`. For tables in files it writes int8
 * tables to files beside them: see `settleTables`.
 *
 * Rejects with an Error that gives the reason if the graph cannot be compiled; then it is served as saved.
 */
export async function compile(graph: Graph, options: CompileOptions): Promise<CompiledGraph> {
  const live = options.live && (await findLiveTables(graph, options.live))
  const passes = await optimise(graph, options.watch)
  const plans = plansOf(graph, options.sides)
  const float32 =
    typeof live === 'object' ? changeEach(plans, (variant) => overlayVariant(variant, live, options.fields)) : plans
  const compiled: CompiledGraph = { passes, float32, int8: undefined, int8Problem: undefined }
  if (typeof live === 'object') compiled.live = live
  else if (live !== undefined) compiled.liveProblem = live
  if (options.quantization !== undefined) {
    try {
      compiled.int8 = await compileInt8(graph, options, options.quantization, joinedIn(plans))
    } catch (error) {
      compiled.int8Problem = error instanceof Error ? error.message : String(error)
    }
  }
  const stored = options.tables ? await narrowPlans(graph, compiled, options.tables) : compiled
  return joinPairs(cutPlans(stored, options.lists ?? []))
}

/** The same plans, with products of pairs joined that are in float32. */
function joinPairs(compiled: CompiledGraph): CompiledGraph {
  const { float32, int8 } = compiled
  return {
    ...compiled,
    float32: changeEach(float32, joinPairProducts),
    int8: int8 && { ...int8, ...changeEach(int8, joinPairProducts) },
  }
}

/** The same plans, with lists that are cut to their lengths. */
function cutPlans(compiled: CompiledGraph, lists: readonly ListColumns[]): CompiledGraph {
  if (lists.length === 0) return compiled
  const paddedLists: Record<string, string> = {}
  const cut = (variant: VariantGraph) =>
    cutLists(variant, lists, (list, reason) => {
      paddedLists[list] ??= reason
    })
  const { float32, int8 } = compiled
  const plans = { float32: changeEach(float32, cut), int8: int8 && { ...int8, ...changeEach(int8, cut) } }
  return { ...compiled, ...plans, ...(Object.keys(paddedLists).length > 0 && { paddedLists }) }
}

/** The products that are joined in the variants. */
function joinedIn({ split }: Plans): Set<string> {
  return typeof split === 'string' || split.shared_context === undefined ? new Set() : joinedPairs(split.shared_context)
}

function plansOf(graph: Graph, sides: Sides | undefined): Plans {
  return { full: fullVariant(graph), split: sides ? splitSides(graph, sides) : unknownSides }
}

const unknownSides = 'the sides of the fields are not known'

/** The graph with its regions cut out, or uncut and why. */
function cutOf(graph: Graph, sides: Sides | undefined): { graph: CutGraph; unsplit: string | undefined } {
  const cut = sides === undefined ? unknownSides : cutRegions(graph, sides)
  return typeof cut === 'string'
    ? { graph: uncut(graph, sides ?? {}), unsplit: cut }
    : { graph: cut, unsplit: undefined }
}

async function compileInt8(
  graph: Graph,
  { sides, fields }: CompileOptions,
  { scales, judged }: NonNullable<CompileOptions['quantization']>,
  joined: ReadonlySet<string>,
): Promise<NonNullable<CompiledGraph['int8']>> {
  const cut = cutOf(graph, sides)
  const { maxima, ranges } = await calibrate(cut.graph, scales)
  const equalised = graph.copy()
  const hidden = equalise(equalised, maxima, new Set(cut.graph.regions.values()))
  if (hidden.size === 0) throw new Error('no hidden layer was found that could be computed in bytes')
  const { graph: equalisedCut, unsplit } = cutOf(equalised, sides)
  const tables = new Map<string, TableScales>()
  const float32 = fullVariant(graph)
  const expected = { scales: await logitsOf(float32, scales), judged: judged && (await logitsOf(float32, judged)) }
  let best: NonNullable<CompiledGraph['int8']> | undefined
  for (const effort of efforts) {
    const plans = quantise(equalisedCut, { hidden, ranges, unsplit, fields, tables, effort, joined })
    await centre(expected.scales, plans, scales)
    const report = passReport(plans.full.graph, 'quantise', hidden.size)
    const verdict =
      judged && expected.judged && compareLogits(expected.judged, await logitsOf(plans.full, judged), judged)
    const int8 = { ...plans, effort, verdict, passes: [passReport(equalised, 'equalise', hidden.size), report] }
    if (verdict === undefined || passesClearly(verdict)) return int8
    // If none passes by a margin, the most accurate of those that pass.
    if (best === undefined || isBetter(verdict, best.verdict!)) best = int8
  }
  return best!
}

function isBetter(one: Verdict, other: Verdict): boolean {
  const worst = ({ tasks }: Verdict) => Math.max(...tasks.map(({ logit_p99 }) => logit_p99))
  return one.passed === other.passed ? worst(one) <= worst(other) : one.passed
}

/** Removes the bias of rounding: shifts logits so that mean probabilities are those of float32. */
async function centre(expected: Float32Array, { full, split }: Plans, rows: InputRows): Promise<void> {
  if (!endsInSigmoid(full.graph)) return
  const columns = full.graph.shapes.get(full.graph.outputs[0]!.name)?.dims.at(-1)
  if (columns === undefined || columns < 1) return
  const shift = meanShift(expected, await logitsOf(full, rows), columns)
  for (const plan of [full, ...(typeof split === 'string' ? [] : [split.shared_context, split.cached])])
    if (plan !== undefined) shiftLogits(plan.graph, shift)
}

function endsInSigmoid(graph: Graph): boolean {
  return graph.producer(graph.outputs[0]!.name)?.opType === 'Sigmoid'
}
