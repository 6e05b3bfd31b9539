import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import { architectureOf } from './table.ts'

/** Names of a model's output layers; a manifest's `graph.outputs`. */
export interface GraphOutputs {
  /** [B, T] */
  probabilities: string
  /** [B, T] */
  logits: string
  /** Per task, the layer of its gate weights [B, E], if the architecture has gates. */
  gates?: Record<string, string>
}

/** Needs no TensorFlow.js. */
export function graphOutputs(options: ArchitectureOptions, tasks: string[]): GraphOutputs {
  const architecture = architectureOf(options.name)
  return {
    probabilities: 'probabilities',
    logits: 'logits',
    ...(architecture.gate && { gates: Object.fromEntries(tasks.map((task) => [task, architecture.gate!(task)])) }),
  }
}
