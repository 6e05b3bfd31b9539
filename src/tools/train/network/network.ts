import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { TrainableGraph } from './make-training-step.ts'

/** A network that can be trained and saved: of a built-in architecture, or an ONNX graph. */
export interface Network {
  /** For people: `multi_gate`, `model.onnx`. */
  title: string
  /** Undefined where no built-in architecture describes the graph. */
  architecture: ArchitectureOptions | undefined
  /** Names of the weights that could be trained, frozen ones among them. */
  names: string[]
  /** Number of trained values. */
  size: number
  /** Opens the graph that a step plan is made of. Rejects with UNSUPPORTED_GRAPH where it can't be trained. */
  open(): Promise<TrainableGraph>
  /** Initial values of a weight of `open()`, row-major. Throws an Error where there is none of that name. */
  values(name: string): Float32Array
  /**
   * The files of a version with these weights, and how a manifest describes them; undefined: the weight is unchanged.
   */
  save(valuesOf: (name: string) => Float32Array | undefined): Promise<Saved>
}

export interface Saved {
  graph: Manifest['graph']
  files: Record<string, Uint8Array>
}

/** Which weights are not trained, by patterns in which `*` stands for anything: `embedding/*`. */
export function frozenBy(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => new RegExp(`^${pattern.split('*').map(literally).join('.*')}$`))
  return (name) => tests.some((test) => test.test(name))
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
