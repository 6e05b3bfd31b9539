import type { ModelShape } from '../../../model/graph/architectures/layers.ts'
import { readLayersModel } from '../../../model/graph/lower/layers/layers-model.ts'
import type { Bundle } from '../../../model/serving/bundle/read.ts'
import { type LoadedSpec, SpecError } from '../../data/source.ts'
import { createArchitecture, layersNetwork } from './layers-network.ts'
import { frozenBy, type Network } from './network.ts'
import { onnxNetwork } from './onnx-network.ts'

type Refuse = (path: string, message: string) => SpecError

const refusalOf =
  (file: string): Refuse =>
  (path, message) =>
    new SpecError(file, [{ path, message }])

/**
 * Checks what can be known of a run's start before its data is read. Throws a SpecError where the spec lacks an
 * architecture, or contradicts the version that training goes on from.
 */
export function expectStart({ spec, file }: LoadedSpec, from: Bundle | undefined): void {
  const refuse = refusalOf(file)
  if (from === undefined) {
    if (spec.architecture === undefined) throw refuse('/architecture', 'is needed to train without --from')
    if (spec.training.freeze.length > 0)
      throw refuse('/training/freeze', 'freezes weights of a version that --from names')
    return
  }
  const { manifest } = from
  const title = titleOf(from)
  if (spec.architecture !== undefined && JSON.stringify(spec.architecture) !== JSON.stringify(manifest.architecture))
    throw refuse(
      '/architecture',
      `is another one than that of ${title}, which --from continues; leave it out to keep that`,
    )
  const names = (tasks: readonly { name: string }[]) => tasks.map(({ name }) => name).join(', ')
  if (names(spec.tasks) !== names(manifest.tasks))
    throw refuse(
      '/tasks',
      `must be those of ${title}, which --from continues, in their order: ${names(manifest.tasks)}`,
    )
  const { format } = manifest.graph
  if (format === 'onnx' || (format === 'layers' && manifest.architecture !== undefined)) return
  const what = format === 'layers' ? 'layers model of no built-in architecture' : format
  throw refuse('', `${title} can't be trained: its graph is a ${what}; multigate export --format onnx converts it`)
}

/**
 * The network that a run starts from, after `expectStart`: a new one of the spec's architecture, or that of another
 * version, with its weights. Rejects with a SpecError where the spec freezes too much or nothing, and with
 * UNSUPPORTED_GRAPH where the version can't be trained.
 */
export async function startNetwork(
  { spec, file }: LoadedSpec,
  shape: ModelShape,
  from: Bundle | undefined,
): Promise<Network> {
  if (from === undefined) return createArchitecture(spec.architecture!, shape)
  const { freeze } = spec.training
  const frozen = frozenBy(freeze)
  const { architecture, graph } = from.manifest
  const network =
    graph.format === 'layers'
      ? layersNetwork(await readLayersModel(from.folder, graph.file), architecture!, shape.tasks, frozen)
      : await onnxNetwork(from, frozen)
  const refuse = refusalOf(file)
  const unused = freeze.find((pattern) => !network.names.some(frozenBy([pattern])))
  if (unused !== undefined)
    throw refuse(
      `/training/freeze/${freeze.indexOf(unused)}`,
      `${JSON.stringify(unused)} matches none of the weights of ${titleOf(from)}, such as ${network.names.slice(0, 5).join(', ')}`,
    )
  if (network.size === 0) throw refuse('/training/freeze', `leaves no weight of ${titleOf(from)} to train`)
  return network
}

const titleOf = ({ manifest: { name, version } }: Bundle): string => `${name}/${version}`
