import type { InferenceSession } from 'onnxruntime-node'
import type { CompiledPlan, PlanDescription, VariantFile } from '../contracts/compiled-plan.ts'
import type { Batch, GraphMemory, GraphStats } from '../contracts/engine.ts'
import { createCandidates } from './candidates.ts'
import { measureVariants } from './measure-variants.ts'
import { fullCost, openVariant } from './open-variant.ts'
import type { OpenVariant } from './variant.ts'
import { VariantRunner } from './variant-runner.ts'

/** A compiled plan, open on this thread. One call at a time. */
export interface OpenPlan {
  run(batch: Batch): Promise<Float32Array>
  stats(): Pick<GraphStats, 'rows' | 'cache'>
  memory: Pick<GraphMemory, 'variants' | 'tables'>
  /** Clears the counts and the cached candidates. */
  reset(): void
  close(): Promise<void>
}

/**
 * Opens the variants of a compiled plan, measures what they cost on this machine, and closes those that never pay. `cacheBytes` bounds the memory of
 * cached candidates; 0 caches none. Rejects with MODEL_FAILED where a file can't be opened.
 */
export async function openPlan(
  { folder, description, precision, costs }: CompiledPlan,
  options: InferenceSession.SessionOptions,
  cacheBytes: number,
): Promise<OpenPlan> {
  const files = precision === 'int8' ? description.int8! : description.float32
  /** By variant, the bytes of its file. */
  const opened = new Map<OpenVariant, number>()
  const release = async (variants: Iterable<OpenVariant | undefined>) => {
    for (const variant of variants)
      if (variant !== undefined && opened.delete(variant)) await variant.session.release()
  }
  const close = () => release([...opened.keys()])
  const open = async (file: VariantFile | undefined) => {
    if (file === undefined) return undefined
    const variant = await openVariant(folder, file, options)
    opened.set(variant, description.files[file.file]?.bytes ?? 0)
    return variant
  }
  try {
    const full = (await open(files.full))!
    const sharedContext = await open(files.shared_context)
    const caches = cacheBytes > 0
    const candidateEncoder = caches ? await open(files.candidate_encoder) : undefined
    const contextEncoder = caches ? await open(files.context_encoder) : undefined
    const cached = caches ? await open(files.cached) : undefined
    const candidates = createCandidates({ candidateEncoder, contextEncoder, cached }, files, cacheBytes)
    const variants = {
      full,
      shared_context: sharedContext,
      candidate_encoder: candidateEncoder,
      cached: candidates?.variant,
    }
    const entries = Object.entries(variants).flatMap(([name, variant]) =>
      variant === undefined ? [] : [[name as keyof typeof variants, variant] as const],
    )
    let lookUp = costs?.lookUp ?? 0
    if (costs) for (const [name, variant] of entries) variant.cost = fullCost(variant, costs[name])
    else {
      lookUp = candidates?.measureLookUp() ?? 0
      await measureVariants(entries.map(([, variant]) => variant))
    }
    const runner = new VariantRunner({ full, sharedContext, candidates }, description.output, lookUp)
    const { used } = runner
    if (!used.shared_context) await release([sharedContext])
    if (!used.cached) await release([candidateEncoder, contextEncoder, cached])
    const variantBytes = [...opened.values()].reduce((sum, bytes) => sum + bytes, 0)
    return {
      run: (batch) => runner.run(batch),
      stats: () => runner.stats(),
      memory: { variants: variantBytes, tables: tableBytes(description) },
      reset: () => runner.reset(),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Bytes of the tables beside the plan's graphs, and of those in files of the saved graph. */
function tableBytes({ files, tables }: PlanDescription): number {
  const beside = Object.entries(files).filter(([name]) => !name.endsWith('.onnx'))
  return [...beside.map(([, file]) => file), ...tables].reduce((sum, { bytes }) => sum + bytes, 0)
}
