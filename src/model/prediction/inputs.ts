import type { Manifest } from '../../schemas/manifest.ts'
import type { Batch } from '../engines/engine.ts'
import type { Encoder } from '../features/encoder.ts'
import type { EncodedRequest } from '../features/layout.ts'

/** Encoded rows under the names of the graph's inputs; what it has no input for is left out. */
export function namedInputs<S, D>({ graph }: Manifest, sparse: S, dense: D): Record<string, S | D> {
  const { inputs } = graph
  const named: Record<string, S | D> = {}
  if (inputs.sparse !== undefined) named[inputs.sparse] = sparse
  if (inputs.dense !== undefined) named[inputs.dense] = dense
  return named
}

export function toBatch(
  manifest: Manifest,
  { rows, sparse, dense }: Pick<EncodedRequest, 'rows' | 'sparse' | 'dense'>,
): Batch {
  return { rows, inputs: namedInputs(manifest, sparse, dense) }
}

/** A batch of so many rows, all alike: each field's first id, and zeros. */
export function plainBatch(manifest: Manifest, { layout }: Encoder, rows: number): Batch {
  const row = Int32Array.from(layout.sparse, ({ offset }) => offset)
  const sparse = new Int32Array(rows * row.length)
  for (let i = 0; i < rows; i++) sparse.set(row, i * row.length)
  return toBatch(manifest, { rows, sparse, dense: new Float32Array(rows * layout.dense.length) })
}
