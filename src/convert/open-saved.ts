import { stat } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { findGraph } from '../model/bundle/bare.ts'
import { findBundle } from '../model/bundle/find.ts'
import type { GraphSource } from '../model/engines/engine.ts'
import { ModelError } from '../model/errors.ts'
import { savedGraph } from '../model/prediction/load-graph.ts'
import type { Manifest } from '../schemas/manifest.ts'

/** A saved graph wherever it lies. */
export interface SavedGraph {
  /** For people: `ads-funnel/1`, or the path. */
  name: string
  source: GraphSource
  /** Of a version that has one. */
  manifest: Manifest | undefined
}

/**
 * What a path means: an ONNX file, a model.json, a SavedModel's folder or its saved_model.pb, the folder of a version or a
 * model, or a model's name below `models`. Rejects with MODEL_NOT_FOUND where it is none of these.
 */
export async function openSaved(path: string, models: string): Promise<SavedGraph> {
  const given = resolve(path)
  const found = await stat(given).catch(() => undefined)
  const bare = async (folder: string, file: string | undefined): Promise<SavedGraph | undefined> => {
    const graph =
      file !== undefined && extname(file) === '.onnx'
        ? { format: 'onnx' as const, file }
        : await findGraph(folder, path)
    return graph && { name: path, source: { folder, ...graph, outputs: [] }, manifest: undefined }
  }
  if (found?.isFile()) {
    const file = basename(given)
    if (extname(file) === '.onnx' || file === 'model.json' || file === 'saved_model.pb')
      return (await bare(dirname(given), file))!
  } else {
    const bundle = await findBundle(path, models)
    if (bundle !== undefined) {
      const { manifest } = bundle
      const source = savedGraph(bundle, bundle.bare ? [] : outputsOf(manifest))
      return { name: `${manifest.name}/${manifest.version}`, source, manifest: bundle.bare ? undefined : manifest }
    }
    const graph = found && (await bare(given, undefined))
    if (graph) return graph
  }
  throw new ModelError(
    'MODEL_NOT_FOUND',
    `${path} is no graph (.onnx, model.json, saved_model.pb), no folder of one, no version or model, and no model in ${models}`,
  )
}

/** The outputs of a saved graph that a manifest names, as they are saved. */
function outputsOf({ graph }: Manifest): string[] {
  const { probabilities, logits, gates } = graph.outputs
  return [...new Set([probabilities, logits ?? [], Object.values(gates ?? {})].flat())]
}
