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
import { payingVariants } from './choose-variant.ts'
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
 * in a turn of its own. `openSaved` opens the graph as saved, to be measured beside its variants where they are, and
 * closed. Rejects with MODEL_FAILED where a file can't be opened.
 */
export async function openPlan(
  plan: CompiledPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
  takeTurn: TakeTurn = (work) => work(),
  openSaved?: () => Promise<SavedGraph | undefined>,
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
  const pays = known && payingVariants(known)
  const wantsShared = pays?.shared_context !== false
  const wantsCached = caches && pays?.cached !== false

  const live = description.live && new LiveInputs(description.live)
  const graphs = new OpenGraphs(plan, options, takeTurn, live)
  try {
    let full = (await graphs.open(files.full, true, known?.full.engine))!
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
    const variants: [VariantName, Variant | undefined][] = [
      ['full', full],
      ['shared_context', sharedContext],
      ['candidate_encoder', parts.candidateEncoder],
      ['cached', candidates?.variant],
    ]
    const entries = variants.flatMap(([name, variant]) => (variant === undefined ? [] : [[name, variant] as const]))
    let costs: MeasuredCosts | undefined = known
    if (costs) for (const [name, variant] of entries) variant.cost = fullCost(variant, costs[name]!)
    else {
      const lookUp = candidates?.measureLookUp() ?? 0
      // A temporary plan is opened once, mostly: its costs are not kept.
      const keeps = plan.origin !== 'temporary'
      const saved = keeps && openSaved ? await takeTurn(openSaved) : undefined
      const timed: TimedVariant[] = entries.map(([, variant]) => variant)
      for (const more of [otherFull, otherShared, saved]) if (more) timed.push(more)
      await measureVariants(timed, takeTurn).finally(() => saved?.close())
      full = await graphs.faster(full, otherFull)
      sharedContext = await graphs.faster(sharedContext, otherShared)
      costs = {
        ...Object.fromEntries(entries.map(([name, { cost }]) => [name, cost])),
        full: full.cost,
        ...(sharedContext && { shared_context: sharedContext.cost }),
        ...(saved && { saved: saved.cost }),
        lookUp,
      }
      if (keeps) await writeCosts(place, threads, costs)
      const paying = payingVariants(costs)
      if (!paying.shared_context) await graphs.release([sharedContext])
      if (!paying.cached) await graphs.release(Object.values(parts))
    }
    const runner = new VariantRunner({ full, sharedContext, candidates }, description.output, costs.lookUp ?? 0)
    const { bytes } = graphs
    const catalogue = cataloguePlace(whoTakes(description, caches, costs, candidates), (ready) =>
      takeTurn(async () => (await import('../catalogue/catalogue.ts')).openCatalogue(ready, options)),
    )
    const saved = description.live?.saved
    return {
      ...(live && liveParts(live, description.live!, candidates, saved && once(() => graphs.openNow(saved)))),
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

/** The graph as saved, while it is measured. */
export interface SavedGraph extends TimedVariant {
  close(): Promise<void>
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
