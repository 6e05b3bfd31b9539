import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { KerasClass } from './keras-class.ts'
import type { ModelInputs, ModelShape } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

/** A built-in architecture: what lies between the inputs and the logits. */
export interface Architecture<Options extends ArchitectureOptions = ArchitectureOptions> {
  /** Records the layers from the inputs to the logit [B, 1] of each of `shape.tasks`. */
  logits(layers: LayersBuilder, options: Options, inputs: ModelInputs, shape: ModelShape): SymbolicTensor[]
  /** The layer with a task's gate weights [B, E]; absent where there are no gates. */
  gate?(task: string): string
  /** Its class in Keras; without it, models of this architecture can be neither imported from Keras nor exported to it. */
  keras?: KerasClass<Options>
}
