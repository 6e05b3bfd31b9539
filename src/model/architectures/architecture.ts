import type { SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { KerasClass } from './keras-class.ts'
import type { LayerKit } from './kit.ts'
import type { ModelShape } from './layers.ts'

/** A built-in architecture: what lies between the embedded features and the logits. */
export interface Architecture<Options extends ArchitectureOptions = ArchitectureOptions> {
  /** Embedded features `flat` [B, (F + D)·d] → the logit [B, 1] of each of `shape.tasks`. */
  logits(kit: LayerKit, options: Options, flat: SymbolicTensor, shape: ModelShape): SymbolicTensor[]
  /** The layer with a task's gate weights [B, E]; absent where there are no gates. */
  gate?(task: string): string
  /** Its class in Keras; without it, models of this architecture can be neither imported from Keras nor exported to it. */
  keras?: KerasClass<Options>
}
