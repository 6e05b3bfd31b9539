import type { ArchitectureOptions } from '../../../schemas/architecture.ts'

/** The class of an architecture in the reference implementation for Keras: what import and export know of it. */
export interface KerasClass<Options = ArchitectureOptions> {
  /** Its name in Python. */
  className: string
  /** Whether the class builds on Keras 3; Keras 2 builds all of them. */
  keras3: boolean
  /** The assumption about a file of weights, beside those that are common to all classes. */
  assumption?: string
  /** Options of this architecture that the class lacks, each with the value that stands for its absence. */
  lacks?: Record<string, unknown>
  /** Whether a file with these parts holds weights of this class. At most one of all classes answers true. */
  matches(parts: PartCounts): boolean
  /** How many of the MLPs read the embedding; the others are one per task. */
  encoders(parts: PartCounts): number
  /** The options that follow from the sizes of the weights. */
  options(sizes: ClassSizes): Omit<Options, 'name' | 'dim_emb' | 'embedding_l2'>
  /**
   * Every weight but the embedding's, in the order of the layers; MLPs that read the embedding before those that
   * answer. `flat` is the width of the embedded features.
   */
  weights(options: Options, flat: number, tasks: string[]): ClassWeight[]
  /** One row from the embedded features to a logit [1] per task, in float64. */
  forward(row: RowNetwork, options: Options, tasks: string[]): Float64Array[]
}

/** Options of experts and towers that the reference's classes lack. */
const beyondReference: Record<string, unknown> = {
  dims_expert: undefined,
  dims_tasks: undefined,
  output_expert: 'linear',
  gate_temperature: 1,
  num_experts_context: 0,
  num_experts_candidate: 0,
}

/** The options of a model that its class lacks. */
export function optionsBeyond({ lacks }: Pick<KerasClass, 'lacks'>, options: ArchitectureOptions): string[] {
  const beyond = { ...beyondReference, ...lacks }
  return Object.entries(options).flatMap(([name, value]) =>
    Object.hasOwn(beyond, name) && value !== undefined && value !== beyond[name] ? [name] : [],
  )
}

/** The parts of a file of weights, counted. */
export interface PartCounts {
  mlps: number
  gates: number
  /** Outputs of the first gate: experts. */
  gateWidth: number
  /** Whether one task passes something on to the next. */
  transfers: boolean
}

/** Sizes of the first MLP that reads the embedding and of the first that answers. */
export interface ClassSizes {
  encoders: number
  first: MlpSizes
  last: MlpSizes
}

export interface MlpSizes {
  depth: number
  hidden: number
  output: number
}

/** One weight of an architecture, and where Keras keeps it in a `.weights.h5` of the reference's class. */
export interface ClassWeight {
  /** `<layer>/<weight>`, as in our own layers models. */
  name: string
  /** Kernels are [in, out], as in Keras. */
  shape: number[]
  keras2: string
  /** undefined where the class does not build on Keras 3. */
  keras3: string | undefined
}

/** Layers of a class applied to one row, by our names of them. */
export interface RowNetwork {
  /** The embedded features. */
  flat: Float64Array
  mlp(x: Float64Array, name: string): Float64Array
  dense(x: Float64Array, name: string): Float64Array
  /** The experts, weighted by a gate that reads the embedded features. */
  mix(gate: string, experts: Float64Array[]): Float64Array
  softmax(x: Float64Array): Float64Array
}

type Normalised = Pick<ArchitectureOptions, 'normalisation'>

/** Weights of an MLP whose parts Keras keeps below `keras2` and `keras3`. */
export function mlpWeights(
  name: string,
  input: number,
  { depth, hidden, output }: MlpSizes,
  { normalisation }: Normalised,
  at: { keras2: string; keras3?: string },
): ClassWeight[] {
  const weight = (ours: string, shape: number[], path: string): ClassWeight => ({
    name: `${name}/${ours}`,
    shape,
    keras2: `${at.keras2}/layers/${path}`,
    keras3: at.keras3 && `${at.keras3}/layers/${path}`,
  })
  return Array.from({ length: depth }, (_, i) => {
    const last = i === depth - 1
    const layer = last ? 'output' : `dense_${i}`
    const width = last ? output : hidden
    const dense = [
      weight(`${layer}/kernel`, [i === 0 ? input : hidden, width], `${nth('dense', i)}/vars/0`),
      weight(`${layer}/bias`, [width], `${nth('dense', i)}/vars/1`),
    ]
    const norm = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((part, k) =>
      weight(`norm_${i}/${part}`, [width], `${nth('batch_normalization', i)}/vars/${k}`),
    )
    return last || normalisation === 'none' ? dense : [...dense, ...norm]
  }).flat()
}

/** `before`: MLPs that Keras 3 counts ahead of the first tower. */
export function towerWeights(
  options: { num_hidden_tasks: number; dim_hidden_tasks: number } & Normalised,
  input: number,
  tasks: string[],
  before: number,
): ClassWeight[] {
  const tower = { depth: options.num_hidden_tasks, hidden: options.dim_hidden_tasks, output: 1 }
  return tasks.flatMap((task, t) =>
    mlpWeights(`tower_${task}`, input, tower, options, {
      keras2: `towers/${nth('mlp', t)}`,
      keras3: `layers/${nth('mlp', before + t)}`,
    }),
  )
}

export function expertWeights(
  options: { num_experts: number; num_hidden_expert: number; dim_hidden_expert: number } & Normalised,
  flat: number,
): ClassWeight[] {
  const width = options.dim_hidden_expert
  const expert = { depth: options.num_hidden_expert, hidden: width, output: width }
  return Array.from({ length: options.num_experts }, (_, e) =>
    mlpWeights(`expert_${e}`, flat, expert, options, {
      keras2: `layers/${nth('mlp', e)}`,
      keras3: `experts/${nth('mlp', e)}`,
    }),
  ).flat()
}

export const towerSizes = ({ last }: ClassSizes) => ({
  num_hidden_tasks: last.depth,
  dim_hidden_tasks: last.hidden,
  dropout_tasks: 0,
})

export const expertSizes = ({ encoders, first }: ClassSizes) => ({
  num_experts: encoders,
  num_hidden_expert: first.depth,
  dim_hidden_expert: first.output,
  dropout_expert: 0,
})

export function expertsOf({ flat, mlp }: RowNetwork, { num_experts }: { num_experts: number }): Float64Array[] {
  return Array.from({ length: num_experts }, (_, e) => mlp(flat, `expert_${e}`))
}

/** Whether each task has a gate of its own. With one task the two classes are the same; it counts as a gate for all. */
export const gatePerTask = ({ gates, mlps, gateWidth }: PartCounts) => gates > 1 && gates === mlps - gateWidth

/** Keras numbers what is of one class: `mlp`, `mlp_1`, … */
export const nth = (name: string, index: number) => (index === 0 ? name : `${name}_${index}`)
