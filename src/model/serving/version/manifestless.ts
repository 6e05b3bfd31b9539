import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Check } from 'typebox/schema'
import { ModelError } from '../../../base/errors.ts'
import { type GraphFormat, type Manifest, TaskName } from '../../../schemas/manifest.ts'
import {
  hasFreeLength,
  holdsIds,
  type SavedSignature,
  type SavedTensor,
  tensorWidth,
  unusableInput,
} from '../../contracts/saved-signature.ts'
import { checksums } from '../bundle/checksum.ts'
import { checkLinks } from '../bundle/read.ts'
import { formatOfModelJson } from './model-json.ts'
import { surveyInThread } from './survey-in-thread.ts'

/** A graph in a folder that has no manifest. */
export interface ManifestlessGraph {
  format: GraphFormat
  file: string
}

/** Most numbers of a row, and tasks: what manifests may have. */
const widestRow = 65_536
const mostTasks = 256

/**
 * The graph of a folder: `saved_model.pb`, `model.json` or a single `.onnx` file; undefined where there is none. Throws
 * INVALID_BUNDLE where there are several.
 */
export async function findGraph(folder: string, where: string): Promise<ManifestlessGraph | undefined> {
  const names = await readdir(folder).catch(() => [])
  const found = names.filter((name) => name === 'saved_model.pb' || name === 'model.json' || name.endsWith('.onnx'))
  if (found.length > 1)
    throw new ModelError(
      'INVALID_BUNDLE',
      `${where} has no manifest.json to say which of its graphs is meant: ${found.sort().join(', ')}`,
    )
  const [file] = found
  if (file === undefined) return undefined
  if (file === 'saved_model.pb') return { format: 'saved_model', file }
  if (file === 'model.json') return { format: await formatOfModelJson(join(folder, file), `${where}/${file}`), file }
  return { format: 'onnx', file }
}

/**
 * A manifest for a graph that has none: no named features, tasks after its outputs, and checksums (`files`), so that
 * its compiled plan is found again. Rejects like `survey`, with UNSUPPORTED_GRAPH for tensors that are no numbers, with
 * INVALID_BUNDLE for links that lead out of the folder.
 */
export async function describeManifestless(
  folder: string,
  graph: ManifestlessGraph,
  { name, version }: { name: string; version: string },
  files: (folder: string) => Promise<Manifest['files']> | Manifest['files'] = checksums,
): Promise<{ manifest: Manifest; signature: SavedSignature }> {
  const where = `${name}/${version}/${graph.file}`
  await checkLinks(folder, `${name}/${version}`)
  const signature = await surveyInThread({ folder, ...graph, outputs: [] }).catch((error) => {
    if (!(error instanceof ModelError)) throw error
    throw new ModelError(error.code, `${name}/${version}/${error.message}`, { cause: error })
  })
  const unsupported = (message: string) => new ModelError('UNSUPPORTED_GRAPH', `${where}: ${message}`)
  const unusable = unusableInput(signature.inputs)
  if (unusable !== undefined) throw unsupported(unusable)
  const free = signature.inputs.find(hasFreeLength)
  if (free !== undefined)
    throw unsupported(
      `the input ${free.name} has no fixed width: a manifest says how long its lists are (multigate init writes one)`,
    )
  const total = signature.inputs.reduce((sum, input) => sum + tensorWidth(input), 0)
  if (total === 0 || total > widestRow)
    throw unsupported(`its inputs are ${total} numbers a row, which must be from 1 to ${widestRow}`)
  const outputs = signature.outputs.filter(({ dtype }) => dtype === 'float32')
  const tasks = outputs.reduce((sum, output) => sum + tensorWidth(output), 0)
  if (tasks === 0 || tasks > mostTasks)
    throw unsupported(
      `its float32 outputs of a fixed width have ${tasks} columns, which must be from 1 to ${mostTasks}`,
    )
  const namesOf = (tensors: SavedTensor[]) => (tensors.length === 0 ? undefined : tensors.map((tensor) => tensor.name))
  const sparse = namesOf(signature.inputs.filter(holdsIds))
  const dense = namesOf(signature.inputs.filter((input) => !holdsIds(input)))
  const manifest: Manifest = {
    manifest: 1,
    name,
    version,
    features: [],
    tasks: taskNames(outputs).map((task) => ({ name: task })),
    derived: [],
    graph: {
      ...graph,
      inputs: { ...(sparse && { sparse }), ...(dense && { dense }) },
      outputs: { probabilities: outputs.map((output) => output.name) },
    },
    precision: 'float32',
    files: await files(folder),
  }
  return { manifest, signature }
}

/** `task_0`, `task_1`, …, or the outputs' names where each task has its own. */
export function taskNames(outputs: readonly Pick<SavedTensor, 'name' | 'dims'>[]): string[] {
  const names = outputs.map(({ name }) => name)
  const ownNames = outputs.length > 1 && outputs.every((output) => tensorWidth(output) === 1)
  if (ownNames && names.every((name) => Check(TaskName, name))) return names
  const total = outputs.reduce((sum, output) => sum + tensorWidth(output), 0)
  return Array.from({ length: total }, (_, task) => `task_${task}`)
}
