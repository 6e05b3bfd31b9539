import type { Manifest } from '../../schemas/manifest.ts'

/** Encoded rows under the names of the graph's inputs; what it has no input for is left out. */
export function namedInputs<S, D>({ graph }: Manifest, sparse: S, dense: D): Record<string, S | D> {
  const { inputs } = graph
  return {
    ...(inputs.sparse === undefined ? {} : { [inputs.sparse]: sparse }),
    ...(inputs.dense === undefined ? {} : { [inputs.dense]: dense }),
  }
}
