import type { InferenceSession } from 'onnxruntime-node'
import { onnxruntime, withExternalData } from '../../../base/onnxruntime.ts'
import type { VariantFile } from '../../contracts/compiled-plan.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import { writeOutSigmoids } from '../../graph/ir/sigmoids.ts'
import { readGraph } from '../../graph/lower/read-graph.ts'
import { zeros } from '../plan/measure-variants.ts'
import { createVariant, graphSession } from '../plan/open-variant.ts'
import type { OpenVariant } from '../plan/variant.ts'

/**
 * Opens the graph that a plan was compiled from as a variant that computes any rows, as `full` does: one output, with
 * its sigmoids written out. `bytes`: of the graph with its weights. Rejects where it can't be read, opened or run.
 */
export async function openSavedVariant(
  source: GraphSource,
  output: string,
  full: VariantFile,
  options: InferenceSession.SessionOptions,
): Promise<{ variant: OpenVariant; bytes: number }> {
  const graph = await readGraph(source, output)
  writeOutSigmoids(graph)
  const bytes = graph.toBytes()
  const session = await onnxruntime.InferenceSession.create(bytes, withExternalData(options, graph.folder))
  try {
    const variant = createVariant(graphSession(session), full)
    const { data } = (await variant.run(zeros(variant, 1), [{ rows: Int32Array.of(0) }]))[output]!
    if (!(data instanceof Float32Array)) throw new Error(`${source.file}: the output ${output} is not float32`)
    return { variant, bytes: bytes.length }
  } catch (error) {
    await session.release()
    throw error
  }
}
