import type { Static, TObject, TProperties } from 'typebox'
import * as Type from 'typebox'
import {
  depth,
  dropout,
  type embeddingOptions,
  type hiddenOptions,
  width,
  widths,
} from '../../../schemas/architecture.ts'
import type { Column } from './diagram.ts'
import type { KerasClass } from './keras-class.ts'
import { evenWidths, type ModelInputs, type ModelShape, mlp } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** Values of options of these schemas. */
export type Values<Options extends TProperties> = Static<TObject<Options>>

/**
 * A built-in architecture: what lies between the inputs and the logits. `Options` are the schemas of its options; every
 * architecture has `embeddingOptions` and `hiddenOptions`.
 */
export interface Architecture<Options extends TProperties = typeof embeddingOptions & typeof hiddenOptions> {
  /** Its name in training specifications and in manifests. */
  name: string
  /** Names that papers give to it, which specifications and manifests may use. */
  aliases?: string[]
  options: Options
  /** A line for the documentation of its options. */
  description: string
  /** Its name in papers. */
  title: string
  /** An explanation for people who have not met it. */
  about: string
  /** Records the layers from the inputs to the logit [B, 1] of each of `shape.tasks`. */
  logits(layers: LayersBuilder, options: Values<Options>, inputs: ModelInputs, shape: ModelShape): SymbolicTensor[]
  /** The layer with a task's gate weights [B, E]; absent where there are no gates. */
  gate?(task: string): string
  /** Its parts from the embeddings to the tasks, as people see them. */
  diagram(options: Values<Options>, tasks: string[]): Column[]
  /** Each task has embeddings of its own. */
  ownEmbeddings?: boolean
  /**
   * Its class in Keras; without it, models of this architecture can be neither imported from Keras nor exported to it.
   */
  keras?: KerasClass<Values<Options>>
}

export const towerOptions = {
  num_hidden_tasks: depth('Layers of each task tower, the output layer included'),
  dim_hidden_tasks: width(64, "Width of a tower's hidden layers"),
  dropout_tasks: dropout('the towers'),
  dims_tasks: Type.Optional(
    Type.Union(
      [
        widths(0, 'Of every tower'),
        Type.Unsafe<Record<string, number[]>>({
          type: 'object',
          patternProperties: { '^.*$': widths(0, "Of a task's tower") },
          description: 'Per task; every task is named',
        }),
      ],
      {
        description:
          "Widths of a tower's hidden layers, in place of num_hidden_tasks and dim_hidden_tasks; the output layer of width 1 follows",
      },
    ),
  ),
}

/** Task t's tower: an MLP from `x` [B, any] to its logit [B, 1]. */
export function tower(
  layers: LayersBuilder,
  x: SymbolicTensor,
  task: string,
  options: Values<typeof towerOptions & typeof hiddenOptions>,
): SymbolicTensor {
  const { dims_tasks: dims, num_hidden_tasks, dim_hidden_tasks } = options
  const hidden = Array.isArray(dims) ? dims : dims?.[task]
  return mlp(layers, x, `tower_${task}`, {
    widths: hidden === undefined ? evenWidths(num_hidden_tasks, dim_hidden_tasks, 1) : [...hidden, 1],
    dropout: options.dropout_tasks,
    activation: options.activation,
    normalisation: options.normalisation,
  })
}
