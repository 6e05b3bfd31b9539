import type { InferenceSession } from 'onnxruntime-node'
import { reasonOf } from '../../../base/errors.ts'
import type { ReadyCatalogue } from '../../contracts/catalogue.ts'
import {
  type CompiledPlan,
  filesOf,
  type PlanCosts,
  type PlanDescription,
  type VariantFiles,
} from '../../contracts/compiled-plan.ts'
import type { Batch, GraphMemory, GraphStats, Outputs, TakeTurn } from '../../contracts/engine.ts'
import { type LiveTables, type Overlay, rowOf, slotOf } from '../../contracts/live-tables.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { type Candidates, createCandidates } from './candidates.ts'
import { payingVariants, takesSaved } from './choose-variant.ts'
import { measureVariants } from './measure-variants.ts'
import { LiveInputs, OpenGraphs } from './open-graphs.ts'
import { fullCost } from './open-variant.ts'
import { type MeasuredCosts, placeOf, readCosts, writeCosts } from './plan-cost.ts'
import type { OpenVariant, TimedVariant, Variant } from './variant.ts'
import { VariantRunner } from './variant-runner.ts'

/** A compiled plan, open on this thread. One call at a time. */
export interface OpenPlan {
  run(batch: Batch): Promise<Float32Array>
  /**
   * Plans with live tables: computes any outputs that may be requested, by the saved graph; undefined if there are no
   * others.
   */
  runSaved?(batch: Batch, wanted: readonly string[]): Promise<Outputs>
  /** Plans with live tables: replaces rows of them, for the calls from now on. */
  setOverlay?(overlay: Overlay): void
  stats(): Pick<GraphStats, 'rows' | 'cache' | 'catalogue'>
  memory: Pick<GraphMemory, 'variants' | 'tables'>
  /** From now on takes candidates from a catalogue. Returns why it can't, if so. */
  addCatalogue(ready: ReadyCatalogue): Promise<string | undefined>
  /** Clears the counts and the cached candidates. */
  reset(): void
  /** Clears the counts alone. */
  recount(): void
  close(): Promise<void>
}

/**
 * Opens the variants of a compiled plan that pay on this machine. Variants without recent measurements are measured.
 * `cacheBytes` bounds the memory of cached candidates; 0 caches none. Each file is opened, and each measured call made,
 * in a turn of its own. `openSaved` opens the graph as saved: it is measured beside its variants where they are, and
 * stays open where it computes the rows of the full one. Rejects with MODEL_FAILED where a file can't be opened.
 */
export async function openPlan(
  plan: CompiledPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
  takeTurn: TakeTurn = (work) => work(),
  openSaved?: OpenSaved,
): Promise<OpenPlan> {
  const { description } = plan
  const files = filesOf(plan)
  const threads = options.intraOpNumThreads ?? 1
  const caches = cacheBytes > 0 && files.candidate_encoder !== undefined
  const names: VariantName[] = ['full']
  if (files.shared_context) names.push('shared_context')
  if (caches) names.push('candidate_encoder', 'cached')
  const measured = caches ? [...names, 'lookUp' as const] : names
  const place = placeOf(plan)
  const known = plan.costs ?? (await readCosts(place, threads, measured))
  const savedPays = known !== undefined && takesSaved(plan, known)
  const pays = known && payingVariants(savedPays ? { ...known, full: known.saved! } : known)
  const wantsShared = pays?.shared_context !== false
  const wantsCached = caches && pays?.cached !== false

  const live = description.live && new LiveInputs(description.live)
  const graphs = new OpenGraphs(plan, options, takeTurn, live)
  try {
    let saved = savedPays ? await openSavedIn(graphs, takeTurn, openSaved) : undefined
    let full = saved ?? (await graphs.open(files.full, true, known?.full.engine))!
    let sharedContext = await graphs.open(files.shared_context, wantsShared, known?.shared_context?.engine)
    // ONNX Runtime is measured beside oneDNN.
    const isNew = (variant: OpenVariant | undefined) => known === undefined && variant?.cost.engine === 'onednn'
    const otherFull = await graphs.open(files.full, isNew(full), 'onnx')
    const otherShared = await graphs.open(files.shared_context, isNew(sharedContext), 'onnx')
    const parts = {
      candidateEncoder: await graphs.open(files.candidate_encoder, wantsCached),
      contextEncoder: await graphs.open(files.context_encoder, wantsCached),
      cached: await graphs.open(files.cached, wantsCached),
    }
    const candidates = createCandidates(parts, files, cacheBytes)
    const entries = namedVariants({ full, sharedContext, ...parts, cached: candidates?.variant })
    let costs: MeasuredCosts | undefined = known
    if (costs) {
      for (const [name, variant] of entries) variant.cost = fullCost(variant, costs[name]!)
      if (saved) full.cost = fullCost(full, costs.saved!)
    } else {
      // A temporary plan is opened once, mostly: its costs are not kept.
      const keeps = plan.origin !== 'temporary'
      // Where costs are kept nowhere, each start would pay for it.
      saved = keeps ? await openSavedIn(graphs, takeTurn, openSaved) : undefined
      const others = { full: otherFull, sharedContext: otherShared, saved }
      const lookUp = candidates?.measureLookUp() ?? 0
      const found = await measureOpened(graphs, { entries, full, sharedContext }, others, takeTurn)
      costs = { ...found.costs, lookUp }
      if (keeps) await writeCosts(place, threads, costs)
      sharedContext = found.sharedContext
      const takes = takesSaved(plan, costs)
      await graphs.release([takes ? found.full : saved])
      full = takes ? saved! : found.full
      if (!takes) saved = undefined
      const paying = payingVariants({ ...costs, full: full.cost })
      if (!paying.shared_context) await graphs.release([sharedContext])
      if (!paying.cached) await graphs.release(Object.values(parts))
    }
    const inUse = { ...costs, full: full.cost }
    const variants = { full, sharedContext, candidates }
    const runner = new VariantRunner(variants, description.output, costs.lookUp ?? 0, saved !== undefined)
    const { bytes } = graphs
    const catalogue = cataloguePlace(whoTakes(description, caches, inUse, candidates), (ready) =>
      takeTurn(async () => (await import('../catalogue/catalogue.ts')).openCatalogue(ready, options)),
    )
    const outputs = description.live?.saved
    return {
      ...(live && liveParts(live, description.live!, candidates, outputs && once(() => graphs.openNow(outputs)))),
      run: (batch) => runner.run(batch),
      stats: () => ({ ...runner.stats(), ...catalogue.stats() }),
      memory: { variants: bytes, tables: tableBytes(description, files) },
      addCatalogue: catalogue.add,
      reset() {
        runner.reset()
        catalogue.reset()
      },
      recount() {
        runner.recount()
        catalogue.reset()
      },
      async close() {
        await catalogue.close()
        await graphs.release()
      },
    }
  } catch (error) {
    await graphs.release()
    throw error
  }
}

/** The variants that there are, with the names of their costs. */
function namedVariants(opened: {
  full: Variant
  sharedContext: Variant | undefined
  candidateEncoder: Variant | undefined
  cached: Variant | undefined
}): [VariantName, Variant][] {
  const { full, sharedContext, candidateEncoder, cached } = opened
  return Object.entries({ full, shared_context: sharedContext, candidate_encoder: candidateEncoder, cached }).flatMap(
    ([name, variant]) => (variant === undefined ? [] : [[name as VariantName, variant]]),
  )
}

/** Measures variants, beside others of the same graphs: the faster of two stays, the other is closed. */
async function measureOpened(
  graphs: OpenGraphs,
  own: { entries: [VariantName, Variant][]; full: OpenVariant; sharedContext: OpenVariant | undefined },
  others: Record<'full' | 'sharedContext' | 'saved', OpenVariant | undefined>,
  takeTurn: TakeTurn,
): Promise<{ full: OpenVariant; sharedContext: OpenVariant | undefined; costs: MeasuredCosts }> {
  const timed: TimedVariant[] = own.entries.map(([, variant]) => variant)
  for (const more of Object.values(others)) if (more) timed.push(more)
  await measureVariants(timed, takeTurn)
  const full = await graphs.faster(own.full, others.full)
  const sharedContext = await graphs.faster(own.sharedContext, others.sharedContext, full)
  const costs = {
    ...Object.fromEntries(own.entries.map(([name, { cost }]) => [name, cost])),
    full: full.cost,
    ...(sharedContext && { shared_context: sharedContext.cost }),
    ...(others.saved && { saved: others.saved.cost }),
  }
  return { full, sharedContext, costs }
}

/** Opens the graph as saved; `bytes`: of its file. Undefined where it is large or fails: a plan can do without it. */
export type OpenSaved = () => Promise<{ variant: OpenVariant; bytes: number } | undefined>

async function openSavedIn(
  graphs: OpenGraphs,
  takeTurn: TakeTurn,
  openSaved: OpenSaved | undefined,
): Promise<OpenVariant | undefined> {
  const opened = openSaved && (await takeTurn(openSaved))
  return opened && graphs.add(opened.variant, opened.bytes)
}

/** The candidates that can be taken from a catalogue, or why none can. */
function whoTakes(
  { live }: PlanDescription,
  caches: boolean,
  costs: MeasuredCosts,
  candidates: Candidates | undefined,
): Candidates | string {
  if (live !== undefined) return 'the version has live tables, whose rows change'
  if (!caches) return 'the candidate cache is off, or the graph has no part that depends on the candidate alone'
  if (!payingVariants(costs).cached) return 'cached candidates do not pay on this machine'
  return candidates ?? 'the candidate cache has no room'
}

/** Holds the catalogue, once there is one. `candidates`: that take from it, or why none do. */
function cataloguePlace(candidates: Candidates | string, open: (ready: ReadyCatalogue) => Promise<Catalogue>) {
  let catalogue: Catalogue | undefined
  return {
    async add(ready: ReadyCatalogue): Promise<string | undefined> {
      if (typeof candidates === 'string') return candidates
      if (ready.description.keyWords !== candidates.keyWords) return 'its keys are of another version of ONNX Runtime'
      try {
        catalogue = await open(ready)
        candidates.takeFrom(catalogue)
        return undefined
      } catch (error) {
        return reasonOf(error)
      }
    },
    stats: () => catalogue && { catalogue: catalogue.stats() },
    reset: () => catalogue?.reset(),
    close: async () => catalogue?.close(),
  }
}

/** The methods that only a plan with live tables has. */
function liveParts(
  live: LiveInputs,
  { tables }: LiveTables,
  candidates: Candidates | undefined,
  openSaved: (() => Promise<OpenVariant>) | undefined,
): Pick<OpenPlan, 'runSaved' | 'setOverlay'> {
  return {
    setOverlay(overlay) {
      const isNext = overlay.changed.since === live.number
      live.set(overlay)
      tables.forEach(({ rows, readers }, i) => {
        const changed = overlay.changed.tables[i]!
        if (isNext && changed.count === 0) return
        if (!isNext || readers === undefined) candidates?.clear()
        else candidates?.forget(readers, (value, reader) => slotOf(changed, rowOf(value, reader, rows)) !== 0)
      })
    },
    ...(openSaved && {
      async runSaved(batch, wanted) {
        // A call has its turn already.
        const variant = await openSaved()
        const rows = Int32Array.from({ length: batch.rows }, (_, row) => row)
        const outputs = await variant.run(batch, [{ rows }])
        return Object.fromEntries(wanted.map((name) => [name, (outputs[name]!.data as Float32Array).slice()]))
      },
    }),
  }
}

/** The first success of `make`, for all callers. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error) => {
      made = undefined
      throw error
    })
    return made
  }
}

type VariantName = Exclude<keyof PlanCosts, 'lookUp' | 'saved'>

/** Bytes of the tables that the variants of a precision map. */
function tableBytes({ files }: PlanDescription, { tables }: VariantFiles): number {
  return tables.reduce((sum, name) => sum + (files[name]?.bytes ?? 0), 0)
}
