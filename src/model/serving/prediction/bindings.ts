import type { Manifest } from '../../../schemas/manifest.ts'
import type { Batch, JoinedTensors } from '../../contracts/engine.ts'
import type { Encoder } from '../features/encoder.ts'
import type { EncodedRequest } from '../features/layout.ts'

/** The tensors that a version's graph is asked with and answers, whatever it takes them from. */
export interface Bindings {
  /** int32 [rows, sparse fields]; undefined where there are none. */
  sparse: string | undefined
  /** float32 [rows, numeric fields]; undefined where there are none. */
  dense: string | undefined
  /** float32 [rows, tasks]. */
  probabilities: string
  /** Those that are several in the saved graph. */
  joined: JoinedTensors | undefined
}

const known = new WeakMap<Manifest['graph'], Bindings>()

/** If a graph has one tensor per field or task, they are concatenated under our name: see `GraphSource.joined`. */
export function bindingsOf({ graph }: Pick<Manifest, 'graph'>): Bindings {
  const before = known.get(graph)
  if (before !== undefined) return before
  const joined: JoinedTensors = { inputs: {}, outputs: {} }
  const one = (
    given: string | string[],
    role: string,
    join: (name: string, tensors: string[]) => void,
    always = false,
  ) => {
    const tensors = [given].flat()
    if (tensors.length === 1 && !always) return tensors[0]!
    const name = `multigate:${role}`
    join(name, tensors)
    return name
  }
  const input = (role: 'sparse' | 'dense', dtype: 'int32' | 'float32') => {
    const tensors = graph.inputs[role]
    return tensors && one(tensors, role, (name, tensors) => (joined.inputs[name] = { dtype, tensors }))
  }
  const sparse = input('sparse', 'int32')
  const dense = input('dense', 'float32')
  const sigmoid = graph.outputs.activation === 'sigmoid'
  const answer = (name: string, tensors: string[]) => {
    joined.outputs[name] = { sigmoid, tensors }
  }
  const probabilities = one(graph.outputs.probabilities, 'probabilities', answer, sigmoid)
  const any = Object.keys(joined.inputs).length + Object.keys(joined.outputs).length > 0
  const ports = { sparse, dense, probabilities, joined: any ? joined : undefined }
  known.set(graph, ports)
  return ports
}

/** Encoded rows under the names of the graph's inputs; what it has no input for is left out. */
export function namedInputs<S, D>(manifest: Pick<Manifest, 'graph'>, sparse: S, dense: D): Record<string, S | D> {
  const inputs = bindingsOf(manifest)
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

/** A batch of `rows` equal rows: each field's first id, and zeros. */
export function plainBatch(manifest: Manifest, { layout }: Encoder, rows: number): Batch {
  const row = Int32Array.from(layout.sparse, ({ plain }) => plain)
  const sparse = new Int32Array(rows * row.length)
  for (let i = 0; i < rows; i++) sparse.set(row, i * row.length)
  return toBatch(manifest, { rows, sparse, dense: new Float32Array(rows * layout.dense.length) })
}
