import { ModelError } from '../../../base/errors.ts'
import type { ClassWeight, PartCounts } from '../../../model/graph/architectures/keras-class.ts'
import { architectureNames, architectureOf } from '../../../model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { type Assumption, assumedOptions, assumptionsOf } from './assumptions.ts'
import type { Blocks, Found, MlpLayer } from './blocks.ts'
import { type ClassShape, classNames, classOf, classWeights } from './class-weights.ts'
import { invalid } from './graph.ts'

/** Facts about a model that its weights do not contain, from its configuration or from the user. */
export interface ClassHints {
  name?: string | undefined
  /** Stated options; the others follow from the weights. */
  options: Record<string, unknown>
  num_tasks?: number | undefined
  num_emb?: number | undefined
  sparseFields?: number | undefined
}

/** A model of one of the reference's classes. */
export interface RecognisedClass {
  options: ArchitectureOptions
  sparseFields: number
  denseFields: number
  /** Rows of the embedding table. */
  ids: number
  tasks: number
  /** By multigate's names, for tasks named `task_0`, …. */
  weights: Map<string, Found>
  /** Options that neither the weights nor the hints determine. */
  assumed: Assumption[]
}

/** Names for tasks, which have none in a file. */
export const plainTasks = (count: number) => Array.from({ length: count }, (_, t) => `task_${t}`)

/**
 * Determines the class of a file's weights and its options. The place of each weight follows from class and order.
 *
 * Throws INVALID_BUNDLE, naming the file, the path, the expected and the actual shape, if a weight is missing,
 * unexpected or of the wrong shape, and INVALID_REQUEST if hints are missing or contradict the file. If the hints name
 * the wrong class, the message names the classes that fit.
 */
export function recognise(blocks: Blocks, hints: ClassHints, file: string): RecognisedClass {
  const { mlps, embedding } = blocks
  if (mlps.length === 0 || (embedding.sparse === undefined && embedding.dense === undefined))
    throw new ModelError(
      'INVALID_BUNDLE',
      `${file} contains only weights, which fit none of the classes SharedBottom, MixtureOfExperts, MultiGateMixtureOfExperts and AITM; save the complete model as .keras`,
    )
  const name = hints.name ?? guessName(countsOf(blocks), file)
  try {
    return recogniseAs(name, blocks, hints, file)
  } catch (error) {
    const fits = (other: string) => succeeds(() => recogniseAs(other, blocks, { options: {} }, file))
    const fitting = fits(name) ? [] : architectureNames.filter(fits)
    if (!(error instanceof ModelError) || fitting.length === 0) throw error
    throw new ModelError(error.code, `${noSuchClass(name, blocks, file)}; they fit ${fitting.join(' or ')}`)
  }
}

function recogniseAs(name: string, blocks: Blocks, hints: ClassHints, file: string): RecognisedClass {
  const encoders = classOf(name).encoders(countsOf(blocks))
  const tasks = blocks.mlps.length - encoders
  if (!Number.isInteger(tasks) || tasks < 1) throw new ModelError('INVALID_BUNDLE', noSuchClass(name, blocks, file))
  contradict(hints.num_tasks, tasks, 'tasks', file)
  contradict(hints.options.num_experts, architectureOf(name).gate && encoders, 'experts', file)
  const normalisation = inferNormalisation(blocks)
  const stated = hints.options.normalisation ?? normalisation ?? assumedOptions.normalisation
  if (normalisation !== undefined && stated !== normalisation)
    throw new ModelError(
      'INVALID_REQUEST',
      `${file}: its hidden layers have ${normalisation === 'none' ? 'no normalisation' : 'batch normalisation'}, not normalisation=${stated}`,
    )
  const options = {
    ...inferOptions(name, blocks, tasks, file),
    ...(normalisation === 'none' && { normalisation }),
    ...hints.options,
  } as ArchitectureOptions
  const shape = { ...inferShape(blocks, hints, options.dim_emb, file), tasks: plainTasks(tasks) }
  const expected = classWeights(options, shape)
  const weights = assign(blocks, expected, shape.tasks)
  checkWeights(weights, expected, options.name, file)
  return { options, ...shape, tasks, weights, assumed: assumptionsOf(options, hints.options) }
}

function noSuchClass(name: string, { mlps, gates }: Blocks, file: string): string {
  return `${file}: ${mlps.length} MLPs and ${gates.length} gates make no ${name}`
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

function countsOf({ mlps, gates, transfers, attention }: Blocks): PartCounts {
  return {
    mlps: mlps.length,
    gates: gates.length,
    gateWidth: gates[0]?.shape[1] ?? 0,
    transfers: Object.keys(attention).length > 0 || transfers.length > 0,
  }
}

function guessName(counts: PartCounts, file: string): string {
  const name = architectureNames.find((name) => architectureOf(name).keras?.matches(counts))
  if (name === undefined)
    throw invalid(
      file,
      `${counts.mlps} MLPs and ${counts.gates} gates make none of ${Object.keys(classNames).join(', ')}`,
    )
  return name
}

function inferOptions(name: string, blocks: Blocks, tasks: number, file: string): ArchitectureOptions {
  const { mlps, embedding } = blocks
  const dim_emb = embedding.sparse?.shape[1] ?? embedding.dense!.shape[1]! / embedding.dense!.shape[0]!
  const sizes = (layers: MlpLayer[] | undefined) => {
    const kernel = layers?.[0]?.kernel
    const last = layers?.at(-1)?.kernel
    if (layers === undefined || kernel?.shape[1] === undefined || last?.shape[1] === undefined)
      throw new ModelError(
        'INVALID_BUNDLE',
        `${file} has ${mlps.length} MLPs, too few for ${tasks} tasks, or an MLP without kernels`,
      )
    return { depth: layers.length, hidden: kernel.shape[1], output: last.shape[1] }
  }
  const first = sizes(mlps[0])
  const last = sizes(mlps[mlps.length - tasks])
  const options = classOf(name).options({
    encoders: mlps.length - tasks,
    first,
    last: { ...last, hidden: hiddenOf(last) },
  })
  return { name, dim_emb, embedding_l2: 0, ...options } as ArchitectureOptions
}

/** Undefined without hidden layers. */
function inferNormalisation({ mlps }: Blocks): 'batch' | 'none' | undefined {
  const hidden = mlps.flatMap((layers) => layers.slice(0, -1))
  if (hidden.length === 0) return undefined
  return hidden.some((layer) => Object.keys(layer).some((weight) => weight !== 'kernel' && weight !== 'bias'))
    ? 'batch'
    : 'none'
}

/** A tower with one layer has no hidden layer: any width will do. */
const hiddenOf = ({ depth, hidden }: { depth: number; hidden: number }) => (depth > 1 ? hidden : 64)

function inferShape(
  { embedding: { sparse, dense }, mlps }: Blocks,
  hints: ClassHints,
  dim_emb: number,
  file: string,
): Omit<ClassShape, 'tasks'> {
  const denseFields = dense?.shape[0] ?? 0
  const kernel = mlps[0]![0]!.kernel!
  const fields = kernel.shape[0]! / dim_emb - denseFields
  if (!Number.isInteger(fields) || fields < 0 || fields > 0 !== (sparse !== undefined))
    throw invalid(
      file,
      `/${kernel.path} has the shape [${kernel.shape}], which fits no number of sparse fields beside ${denseFields} dense features, each ${dim_emb} wide`,
    )
  contradict(hints.sparseFields, fields, 'sparse fields', file)
  return { sparseFields: fields, denseFields, ids: hints.num_emb ?? sparse?.shape[0] ?? 0 }
}

/** Each weight under our name, by class and order. */
function assign(blocks: Blocks, expected: ClassWeight[], tasks: string[]): Map<string, Found> {
  const weights = new Map<string, Found>()
  const set = (name: string, found: Found | undefined) => {
    if (found) weights.set(name, found)
  }
  set('embedding/embeddings', blocks.embedding.sparse)
  set('dense_embedding/kernel', blocks.embedding.dense)
  const gates = expected.map(({ name }) => name).filter((name) => /^gate(?:_.*)?\/kernel$/.test(name))
  blocks.gates.forEach((kernel, i) => {
    set(gates[i] ?? nthGate(i), kernel)
  })
  blocks.transfers.forEach(({ kernel, bias }, t) => {
    set(`transfer_${tasks[t + 1]}/kernel`, kernel)
    set(`transfer_${tasks[t + 1]}/bias`, bias)
  })
  for (const part of ['query', 'key', 'value'] as const) set(`attention/${part}/kernel`, blocks.attention[part])
  const owners = [...mlpDepths(expected)]
  blocks.mlps.forEach((layers, i) => {
    const [owner, depth] = owners[i] ?? [`mlp:${i}`, layers.length]
    layers.forEach((layer, place) => {
      const dense = place === depth - 1 ? 'output' : `dense_${place}`
      for (const [weight, found] of Object.entries(layer))
        set(`${owner}/${weight === 'kernel' || weight === 'bias' ? dense : `norm_${place}`}/${weight}`, found)
    })
  })
  return weights
}

/** The MLPs of a class in order, and how many layers each has. */
function mlpDepths(expected: ClassWeight[]): Map<string, number> {
  const depths = new Map<string, number>()
  for (const { name } of expected) {
    const [, owner] = /^(.+)\/(?:dense_\d+|output)\/kernel$/.exec(name) ?? []
    if (owner !== undefined) depths.set(owner, (depths.get(owner) ?? 0) + 1)
  }
  return depths
}

/** Throws if a stated number is not the one in the file. */
function contradict(stated: unknown, found: number | undefined, what: string, file: string): void {
  if (stated !== undefined && found !== undefined && stated !== found)
    throw new ModelError('INVALID_REQUEST', `${file} has ${found} ${what}, not ${stated}`)
}

const nthGate = (index: number) => (index === 0 ? 'gate/kernel' : `gate:${index}/kernel`)

function checkWeights(weights: Map<string, Found>, expected: ClassWeight[], architecture: string, file: string): void {
  for (const { name, shape: wanted, keras2, keras3 } of expected) {
    const found = weights.get(name)
    if (found === undefined) {
      const places = keras3 === undefined ? `/${keras2}` : `/${keras2}, Keras 3 at /${keras3}`
      throw new ModelError('INVALID_BUNDLE', `${file} lacks ${name} [${wanted}], which Keras 2 stores at ${places}`)
    }
    if (found.shape.join() !== wanted.join())
      throw invalid(
        file,
        `/${found.path} has the shape [${found.shape}], but ${name} of this ${architecture} must be [${wanted}]`,
      )
  }
  const known = new Set(expected.map(({ name }) => name))
  for (const [name, { path, shape }] of weights)
    if (!known.has(name)) throw invalid(file, `/${path} [${shape}] is unexpected: ${architecture} has no ${name}`)
}
