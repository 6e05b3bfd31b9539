import type { ActivationName, ArchitectureOptions, Normalisation } from '../../../schemas/architecture.ts'
import type { Column } from './diagram.ts'
import type { KerasClass } from './keras-class.ts'
import { evenWidths, type ModelInputs, type ModelShape, mlp } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** A built-in architecture: what lies between the inputs and the logits. */
export interface Architecture<Options extends ArchitectureOptions = ArchitectureOptions> {
  /** Its name in papers. */
  title: string
  /** An explanation for people who have not met it. */
  about: string
  /** Records the layers from the inputs to the logit [B, 1] of each of `shape.tasks`. */
  logits(layers: LayersBuilder, options: Options, inputs: ModelInputs, shape: ModelShape): SymbolicTensor[]
  /** The layer with a task's gate weights [B, E]; absent where there are no gates. */
  gate?(task: string): string
  /** Its parts from the embeddings to the tasks, as people see them. */
  diagram(options: Options, tasks: string[]): Column[]
  /** Each task has embeddings of its own. */
  ownEmbeddings?: boolean
  /**
   * Its class in Keras; without it, models of this architecture can be neither imported from Keras nor exported to it.
   */
  keras?: KerasClass<Options>
}

export interface TowersOptions {
  num_hidden_tasks: number
  dim_hidden_tasks: number
  dropout_tasks: number
  /** Widths of the hidden layers, for all tasks or for each. */
  dims_tasks?: number[] | Record<string, number[]>
  activation?: ActivationName
  normalisation?: Normalisation
}

/** Task t's tower: an MLP from `x` [B, any] to its logit [B, 1]. */
export function tower(layers: LayersBuilder, x: SymbolicTensor, task: string, options: TowersOptions): SymbolicTensor {
  const { dims_tasks: dims, num_hidden_tasks, dim_hidden_tasks } = options
  const hidden = Array.isArray(dims) ? dims : dims?.[task]
  return mlp(layers, x, `tower_${task}`, {
    widths: hidden === undefined ? evenWidths(num_hidden_tasks, dim_hidden_tasks, 1) : [...hidden, 1],
    dropout: options.dropout_tasks,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}
