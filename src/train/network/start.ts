import { type LoadedSpec, SpecError } from '../../data/spec.ts'
import type { ModelShape } from '../../model/architectures/layers.ts'
import type { Bundle } from '../../model/bundle/read.ts'
import { readLayersModel } from '../../model/lower/layers/layers-model.ts'
import { createArchitecture, layersNetwork } from './layers-network.ts'
import { frozenBy, type Network } from './network.ts'
import { onnxNetwork } from './onnx-network.ts'

/**
 * The network that a run starts from: a new one of the spec's architecture, or that of another version, with its weights. Rejects
 * with a SpecError where the spec contradicts that version, and with UNSUPPORTED_GRAPH where it can't be trained.
 */
export async function startNetwork(
  { spec, file }: LoadedSpec,
  shape: ModelShape,
  from: Bundle | undefined,
): Promise<Network> {
  const { freeze } = spec.training
  const refuse = (path: string, message: string) => new SpecError(file, [{ path, message }])
  if (from === undefined) {
    if (spec.architecture === undefined) throw refuse('/architecture', 'is needed to train without --from')
    if (freeze.length > 0) throw refuse('/training/freeze', 'freezes weights of a version that --from names')
    return createArchitecture(spec.architecture, shape)
  }
  const { manifest, folder } = from
  const title = `${manifest.name}/${manifest.version}`
  if (spec.architecture !== undefined && JSON.stringify(spec.architecture) !== JSON.stringify(manifest.architecture))
    throw refuse(
      '/architecture',
      `is another one than that of ${title}, which --from continues; leave it out to keep that`,
    )
  const tasks = manifest.tasks.map(({ name }) => name)
  if (shape.tasks.join() !== tasks.join())
    throw refuse('/tasks', `must be those of ${title}, which --from continues, in their order: ${tasks.join(', ')}`)
  const { format } = manifest.graph
  const frozen = frozenBy(freeze)
  let network: Network
  if (format === 'layers' && manifest.architecture !== undefined)
    network = layersNetwork(
      await readLayersModel(folder, manifest.graph.file),
      manifest.architecture,
      shape.tasks,
      frozen,
    )
  else if (format === 'onnx') network = await onnxNetwork(from, frozen)
  else
    throw refuse(
      '',
      `${title} can't be trained: its graph is a ${format === 'layers' ? 'layers model of no built-in architecture' : format}; multigate export --format onnx converts it`,
    )
  const unused = freeze.filter((pattern) => !network.names.some(frozenBy([pattern])))
  if (unused.length > 0)
    throw refuse(
      `/training/freeze/${freeze.indexOf(unused[0]!)}`,
      `${JSON.stringify(unused[0])} matches none of the weights of ${title}, such as ${network.names.slice(0, 5).join(', ')}`,
    )
  if (network.size === 0) throw refuse('/training/freeze', `leaves no weight of ${title} to train`)
  return network
}
