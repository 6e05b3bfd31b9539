import type { CompiledPlan, Cost, PlanCosts } from '../../contracts/compiled-plan.ts'
import { atLength, costOf, shareOf, totalOf } from './plan-cost.ts'
import type { FullCost } from './variant.ts'

/*
 * Which variant computes which rows: pure functions of what the variants cost, and a policy that remembers how many
 * candidates were cached.
 */

/** The cost of each variant; undefined where the variant does not exist or is never worth its call. */
export interface VariantCosts {
  full: FullCost
  shared_context: FullCost | undefined
  cached: FullCost | undefined
  /** To look up one candidate in the cache, µs. */
  lookUp: number
}

/** The same costs where lists have this part of their places, see `atLength`. */
export function costsAtLength({ full, shared_context, cached, lookUp }: VariantCosts, part: number): VariantCosts {
  return {
    full: atLength(full, part),
    shared_context: shared_context && atLength(shared_context, part),
    cached: cached && atLength(cached, part),
    lookUp,
  }
}

/** Rows of a request, and how many of them can be computed from the cache. */
export interface LookedUp {
  count: number
  cached: number
}

/** Request sizes, rows, for which a variant has to pay at least once to be used at all. */
const usualRows = [1, 4, 16, 64, 256, 1024]

/** A look-up takes this many times longer than measured: under load the cache's memory is in no processor cache. */
export const lookUpUnderLoad = 3

/** Which variants beside the full one are ever worth their call, by costs as measured. */
export function payingVariants(costs: Partial<PlanCosts> & Pick<PlanCosts, 'full'>): {
  shared_context: boolean
  cached: boolean
} {
  // For single requests it makes no difference what joined ones cost.
  const whole = (cost: Cost | undefined) => cost && { a: cost.a, b: cost.b, joined: cost.joined ?? cost }
  const { shared_context, cached } = usefulVariants({
    full: whole(costs.full)!,
    shared_context: whole(costs.shared_context),
    cached: whole(costs.cached),
    lookUp: lookUpUnderLoad * (costs.lookUp ?? 0),
  })
  return { shared_context: shared_context !== undefined, cached: cached !== undefined }
}

/**
 * Whether one way to compute a variant costs less than another over requests of all usual sizes; `margin`: by more than
 * this share of it; `beside`: what computes requests that it computes cheaper, such as those of a few rows.
 */
export function isCheaper(
  one: Cost,
  other: Cost,
  { margin = 0, beside }: { margin?: number; beside?: Cost } = {},
): boolean {
  const least = (cost: Cost, rows: number) =>
    Math.min(costOf(cost, rows), beside ? costOf(beside, rows) : Number.POSITIVE_INFINITY)
  const ratios = usualRows.map((rows) => Math.log(least(one, rows) / least(other, rows)))
  return ratios.reduce((sum, ratio) => sum + ratio, 0) < ratios.length * Math.log(1 - margin)
}

/**
 * Share of the compiled graph's cost by which the saved one must be cheaper to replace it. The ratio of two graphs
 * differs by 1 to 6 % between measurements on a busy machine.
 */
const savedMargin = 0.05

/** Most constants, bytes, of a saved graph that is opened beside its plan, if only to be measured. */
export const mostSaved = 64 * 2 ** 20

/**
 * Whether the graph as saved may compute a plan's rows: it has other numbers than a plan in int8 or bfloat16, cannot
 * replace rows of live tables, and would have a copy of its own of large tables, which all workers share.
 */
export function mayServeSaved({ description, precision }: Pick<CompiledPlan, 'description' | 'precision'>): boolean {
  const { live, passes, float32 } = description
  if (precision !== 'float32' || live !== undefined || float32.tables.length > 0) return false
  return (passes[0]?.bytes ?? 0) <= mostSaved
}

/** Whether the graph as saved computes the rows of a plan's full variant, by costs as measured. */
export function takesSaved(
  plan: Pick<CompiledPlan, 'description' | 'precision'>,
  { full, saved }: Pick<PlanCosts, 'full' | 'saved'>,
): boolean {
  return saved !== undefined && mayServeSaved(plan) && isCheaper(saved, full, { margin: savedMargin })
}

/** Without the variants that are dearer than the others at every usual size. */
export function usefulVariants({ full, shared_context: shared, cached, lookUp }: VariantCosts): VariantCosts {
  const sharedPays = shared && usualRows.some((rows) => costOf(shared, rows) < costOf(full, rows))
  const costs = { full, shared_context: sharedPays ? shared : undefined, cached: undefined, lookUp }
  const cachedPays =
    cached && usualRows.some((rows) => costOf(cached, rows) + lookUp * rows < divide(costs, [rows]).cost)
  return { ...costs, cached: cachedPays ? cached : undefined }
}

/**
 * Which requests the shared-context variant computes, and what all requests cost then, µs. `requests`: rows of each.
 * The others go through the full variant, in one call with `loose` further rows.
 */
export function divide(
  { full, shared_context: shared }: VariantCosts,
  requests: readonly number[],
  loose = 0,
): { viaShared: readonly boolean[]; cost: number } {
  const fullCost = (others: readonly number[]) =>
    costOf(
      full,
      others.reduce((sum, rows) => sum + rows, loose),
    )
  let best = { viaShared: requests.map(() => false), cost: fullCost(requests) }
  if (shared === undefined) return best
  const cheaper = requests.map((rows) => shareOf(shared, rows, requests.length) <= shareOf(full, rows, requests.length))
  // A call of its own for a few rows costs more than to add them to a call that is made anyway.
  for (const viaShared of [cheaper, requests.map(() => true)]) {
    const taken = requests.filter((_, i) => viaShared[i])
    const cost = totalOf(shared, taken) + fullCost(requests.filter((_, i) => !viaShared[i]))
    if (cost < best.cost) best = { viaShared, cost }
  }
  return best
}

/** Which of the requests whose candidates were looked up use the cached variant for their cached rows. */
export function chooseCached(costs: VariantCosts, requests: readonly LookedUp[]): readonly boolean[] {
  const { full, shared_context: shared, cached } = costs
  if (cached === undefined) return requests.map(() => false)
  const { length } = requests
  const uncachedShare = (rows: number) =>
    Math.min(shareOf(full, rows, length), shared ? shareOf(shared, rows, length) : Number.POSITIVE_INFINITY)
  const taken = requests.map((request) => {
    const cost = shareOf(cached, request.cached, length) + uncachedShare(request.count - request.cached)
    return cost <= uncachedShare(request.count) ? request.cached : 0
  })
  const rest = requests.map(({ count }, i) => count - taken[i]!)
  // A call of its own for a few rows costs more than they save.
  const cost = totalOf(cached, taken) + divide(costs, rest).cost
  const all = divide(
    costs,
    requests.map(({ count }) => count),
  )
  return taken.map((rows) => rows > 0 && cost <= all.cost)
}

/** While look-ups don't pay, one batch in eight is looked up all the same: traffic may have changed. */
const probedBatches = 8
/** Rows per cache slot after which the share of cached candidates is known. */
const rowsPerSlot = 2

/** Decides whether a batch's candidates are looked up, by the share of candidates that were cached recently. */
export class LookUpPolicy {
  #costs: VariantCosts
  readonly #slots: number
  /** Moving share of candidates that were cached, or worth caching, when they were looked up; optimistic at first. */
  #cachedShare = 1
  #batches = 0

  /** `slots`: capacity of the cache, candidates. */
  constructor(costs: VariantCosts, slots: number) {
    this.#costs = costs
    this.#slots = slots
  }

  /** From now on calls cost this. */
  use(costs: VariantCosts): void {
    this.#costs = costs
  }

  /** Whether to look up the candidates of requests with these rows, which cost `cost` µs without the cache. */
  wants(requests: readonly number[], cost: number): boolean {
    const { cached, lookUp } = this.#costs
    if (cached === undefined) return false
    const total = requests.reduce((sum, rows) => sum + rows, 0)
    const mostGain = cost - totalOf(cached, requests)
    if (mostGain <= lookUp * total) return false
    if (this.#batches++ % probedBatches === 0) return true
    if (this.#cachedShare * mostGain <= lookUp * total) return false
    const share = this.#cachedShare
    const rowsAt = (share: number) => requests.map((rows) => rows * share)
    // Where few candidates are cached, a batch often has none; where few are not, it often has none of those.
    const found = (1 - (1 - share) ** total) * totalOf(cached, rowsAt(share))
    const rest = share === 1 ? 0 : (1 - share ** total) * divide(this.#costs, rowsAt(1 - share)).cost
    return found + rest + lookUp * total < cost
  }

  /** Counts what a look-up found. */
  record(requests: readonly LookedUp[]): void {
    const rows = requests.reduce((sum, { count }) => sum + count, 0)
    if (rows === 0) return
    const found = requests.reduce((sum, { cached }) => sum + cached, 0)
    this.#cachedShare += (rows / (rows + rowsPerSlot * this.#slots)) * (found / rows - this.#cachedShare)
  }

  reset(): void {
    this.#cachedShare = 1
  }
}
