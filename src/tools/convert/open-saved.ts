import { rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { savedGraph } from '../../model/serving/prediction/load-graph.ts'
import { findGraph } from '../../model/serving/version/manifestless.ts'
import { findBundle, missingModel } from '../../model/serving/version/read-version.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { chooseFields } from './fields.ts'

/** A saved graph, found by path or name. */
export interface SavedGraph {
  /** For people: `ads-funnel/1`, or the path. */
  name: string
  source: GraphSource
  /** Undefined without one. */
  manifest: Manifest | undefined
  /** The file that the graph was unpacked from. */
  unpacked?: { format: string; path: string }
  /** Removes the unpacked files. */
  dispose?(): Promise<void>
}

/**
 * Opens an ONNX file, a model.json, a SavedModel's folder or its saved_model.pb, a file saved by Keras (.keras, .h5),
 * the folder of a version or a model, or a model in `models` by name. Rejects with MODEL_NOT_FOUND if `path` is none of
 * these.
 */
export async function openSaved(path: string, models: string): Promise<SavedGraph> {
  const given = resolve(path)
  const found = await stat(given).catch(() => undefined)
  const graphIn = async (folder: string, file: string | undefined): Promise<SavedGraph | undefined> => {
    const graph =
      file !== undefined && extname(file) === '.onnx'
        ? { format: 'onnx' as const, file }
        : await findGraph(folder, path)
    return graph && { name: path, source: { folder, ...graph, outputs: [] }, manifest: undefined }
  }
  if (found?.isFile()) {
    const file = basename(given)
    if (extname(file) === '.keras' || extname(file) === '.h5') return openKerasFile(given, path)
    if (extname(file) === '.onnx' || file === 'model.json' || file === 'saved_model.pb')
      return (await graphIn(dirname(given), file))!
  } else {
    const bundle = await findBundle(path, models)
    if (bundle !== undefined) {
      const { manifest } = bundle
      const source = savedGraph(bundle, bundle.manifestless ? [] : outputsOf(manifest))
      return {
        name: `${manifest.name}/${manifest.version}`,
        source,
        manifest: bundle.manifestless ? undefined : manifest,
      }
    }
    const graph = found && (await graphIn(given, undefined))
    if (graph) return graph
  }
  const kinds = 'a graph (.onnx, model.json, saved_model.pb, .keras, .h5), the folder of a graph, model or version,'
  throw new ModelError('MODEL_NOT_FOUND', await missingModel(path, [models], kinds))
}

/** Converts the file as an import does, in a temporary folder. */
async function openKerasFile(file: string, name: string): Promise<SavedGraph> {
  const { openKeras } = await import('./keras/open-keras.ts')
  const model = await openKeras(file, undefined)
  const sides = { context: [], cross: [] }
  const { ranges, ownIds } = chooseFields(model, { features: undefined, sizes: undefined, sides, allowUnused: false })
  const { graph, files } = await model.build(ranges, model.tasks, ownIds)
  const folder = await makeTemporaryFolder('keras')
  const dispose = () => rm(folder, { recursive: true, force: true })
  try {
    for (const [path, bytes] of Object.entries(files)) await writeFile(join(folder, path), bytes)
  } catch (error) {
    await dispose()
    throw error
  }
  const { format, outputs } = graph
  const source = { folder, format, file: graph.file, outputs: [outputs.probabilities].flat() }
  return { name, source, manifest: undefined, unpacked: { format: 'keras', path: file }, dispose }
}

/** The outputs of a saved graph that its manifest names. */
function outputsOf({ graph }: Manifest): string[] {
  const { probabilities, logits, gates } = graph.outputs
  return [...new Set([probabilities, logits ?? [], Object.values(gates ?? {})].flat())]
}
