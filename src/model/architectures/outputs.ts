import type { ArchitectureOptions } from '../../schemas/architecture.ts'

/** Names of the layers whose outputs a model answers with; a manifest's `graph.outputs`. */
export interface GraphOutputs {
  /** [B, T] */
  probabilities: string
  /** [B, T] */
  logits: string
  /** Per task the layer of its gate's weights [B, E], where the architecture has gates. */
  gates?: Record<string, string>
}

/** Knows names alone, so that nobody needs TensorFlow.js to ask. */
export function graphOutputs(options: ArchitectureOptions, tasks: string[]): GraphOutputs {
  const outputs = { probabilities: 'probabilities', logits: 'logits' }
  switch (options.name) {
    case 'mixture_of_experts':
      return { ...outputs, gates: Object.fromEntries(tasks.map((task) => [task, 'gate'])) }
    case 'multi_gate':
      return { ...outputs, gates: Object.fromEntries(tasks.map((task) => [task, `gate_${task}`])) }
    default:
      return outputs
  }
}
