import type { InferenceSession } from 'onnxruntime-node'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { type CompiledPlan, filesOf } from '../../contracts/compiled-plan.ts'
import type { Engine, GraphSource, LoadedGraph, TakeTurn } from '../../contracts/engine.ts'
import { refuseFloats, refuseNegative, valuesOf } from '../memory.ts'
import { mostSaved } from '../plan/choose-variant.ts'
import { type OpenSaved, openPlan } from '../plan/open-plan.ts'
import { idsOf } from './session-outputs.ts'

/** How sessions are opened whose calls are computed by `threads`. */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Errors and worse: warnings on standard error are nobody's business while serving.
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
  }
}

interface OnnxOptions {
  threads: number
  /**
   * Most bytes of a graph's weights in memory; beyond that ONNX Runtime opens the graph's file itself. Default: as many
   * as an ONNX file can hold.
   */
  mostBytes?: number
}

/**
 * ONNX Runtime, in this thread: reads ONNX files, and layers models and TensorFlow's graphs by lowering them.
 *
 * `threads` compute one call; none of them spins while it waits, since other calls need the processors.
 * An int64 input counts as int32, and a float32 input takes ids as well (Keras 3 exports them so).
 */
export async function createOnnxEngine({ threads, mostBytes }: OnnxOptions): Promise<Engine> {
  const options = sessionOptions(threads)

  async function load(source: GraphSource, takeTurn: TakeTurn = (work) => work()): Promise<LoadedGraph> {
    if (source.plan !== undefined) return loadPlanned(source, source.plan, takeTurn)
    return takeTurn(() => loadExported(source))
  }

  /**
   * The plan answers what it was compiled for; other outputs come from the graph as it was saved, opened when asked
   * for.
   */
  async function loadPlanned(source: GraphSource, ready: CompiledPlan, takeTurn: TakeTurn): Promise<LoadedGraph> {
    const { output, width } = ready.description
    const plan = await openPlan(ready, options, source.cacheBytes ?? 0, takeTurn, () =>
      openSaved(ready, source, options),
    )
    const catalogueProblem = source.catalogue && (await plan.addCatalogue(source.catalogue))
    const inputs = ready.description.inputs.map(({ ids, ...input }) => input)
    const ids = idsOf(
      source,
      ready.description.inputs.filter((input) => input.ids),
    )
    let exported: Promise<LoadedGraph> | undefined
    let exportedRows = 0
    let exportedBytes = 0
    let open = true
    return {
      signature: { inputs, outputs: [{ name: output, width }], ...(catalogueProblem && { catalogueProblem }) },
      async run(batch, wanted) {
        if (!open) throw new ModelError('MODEL_FAILED', `${source.file}: is closed`)
        if (batch.rows === 0) return Object.fromEntries(wanted.map((name) => [name, new Float32Array(0)]))
        const isOutput = wanted.every((name) => name === output)
        if (!isOutput && plan.runSaved === undefined) {
          exported ??= loadExported(source).catch((error) => {
            exported = undefined
            throw error
          })
          exportedRows += batch.rows
          const graph = await exported
          exportedBytes = graph.stats?.().memory.weights ?? 0
          return graph.run(batch, wanted)
        }
        for (const input of inputs) {
          const values = valuesOf(batch, input)
          if (input.dtype === 'int32') refuseFloats(input.name, values)
          if (ids(input)) refuseNegative(input.name, values)
        }
        try {
          return isOutput ? { [output]: await plan.run(batch) } : await plan.runSaved!(batch, wanted)
        } catch (cause) {
          throw new ModelError('MODEL_FAILED', `${source.file}: ${reasonOf(cause)}`, { cause })
        }
      },
      ...(plan.setOverlay && { setOverlay: plan.setOverlay }),
      reset() {
        exportedRows = 0
        plan.reset()
      },
      recount() {
        exportedRows = 0
        plan.recount()
      },
      stats() {
        const stats = plan.stats()
        const memory = { weights: exportedBytes, ...plan.memory }
        return { ...stats, rows: { ...stats.rows, exported: stats.rows.exported + exportedRows }, memory }
      },
      async close() {
        if (!open) return
        open = false
        await plan.close()
        const graph = await exported?.catch(() => undefined)
        await graph?.close()
      },
    }
  }

  /** Modules that only graphs without a plan need, such as protocol buffers, are imported with the first of them. */
  async function loadExported(source: GraphSource): Promise<LoadedGraph> {
    const { openExported } = await import('./exported-graph.ts')
    return openExported(source, options, mostBytes)
  }

  return { name: 'onnx', load }
}

/**
 * The graph that a plan was compiled from, as a variant of it: with written-out sigmoids, so that small probabilities
 * are those of the others. Undefined where it is large, or fails: the plan doesn't need it. Never rejects.
 */
export async function openSaved(
  ready: Pick<CompiledPlan, 'description' | 'precision'>,
  source: GraphSource,
  options: InferenceSession.SessionOptions,
): ReturnType<OpenSaved> {
  const { output, passes } = ready.description
  if ((passes[0]?.bytes ?? 0) > mostSaved) return undefined
  try {
    const { openSavedVariant } = await import('./saved-variant.ts')
    return await openSavedVariant(source, output, filesOf(ready).full, options)
  } catch {
    return undefined
  }
}
