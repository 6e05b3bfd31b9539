import type { Manifest } from '../../../schemas/manifest.ts'
import type { Batch, JoinedInput, JoinedTensors } from '../../contracts/engine.ts'
import type { Encoder } from '../features/encoder.ts'
import type { FieldColumn } from '../features/field-column.ts'
import { type EncodedRequest, layoutOf } from '../features/layout.ts'

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

/** The parts of a manifest that say what its graph takes and answers. */
export type GraphOfFields = Pick<Manifest, 'graph' | 'features' | 'crossed'>

const known = new WeakMap<Manifest['graph'], Bindings>()

/** If a graph has one tensor per field or task, they are concatenated under our name: see `GraphSource.joined`. */
export function bindingsOf(manifest: GraphOfFields): Bindings {
  const { graph } = manifest
  const before = known.get(graph)
  if (before !== undefined) return before
  const joined: JoinedTensors = { inputs: {}, outputs: {} }
  const ofFields = graph.inputs.fields === undefined ? undefined : fieldTensors(manifest, graph.inputs.fields)
  const input = (role: 'sparse' | 'dense', dtype: 'int32' | 'float32') => {
    const tensors = [graph.inputs[role] ?? []].flat()
    const own = ofFields?.[role].fields?.tensors.length === 0 ? undefined : ofFields?.[role]
    if (own === undefined && tensors.length <= 1) return tensors[0]
    const name = `multigate:${role}`
    joined.inputs[name] = { dtype, tensors, ...own }
    return name
  }
  const sparse = input('sparse', 'int32')
  const dense = input('dense', 'float32')
  const sigmoid = graph.outputs.activation === 'sigmoid'
  const outputs = [graph.outputs.probabilities].flat()
  const probabilities = outputs.length === 1 && !sigmoid ? outputs[0]! : 'multigate:probabilities'
  if (probabilities !== outputs[0]) joined.outputs[probabilities] = { sigmoid, tensors: outputs }
  const any = Object.keys(joined.inputs).length + Object.keys(joined.outputs).length > 0
  const ports = { sparse, dense, probabilities, joined: any ? joined : undefined }
  known.set(graph, ports)
  return ports
}

/** The tensors of fields that have their own, and the columns that are left to others. */
function fieldTensors(
  manifest: GraphOfFields,
  named: NonNullable<Manifest['graph']['inputs']['fields']>,
): Record<'sparse' | 'dense', Pick<JoinedInput, 'columns' | 'fields'>> {
  const layout = layoutOf(manifest)
  const roles = { sparse: roleOf(layout.sparse.length), dense: roleOf(layout.dense.length) }
  const take = (role: Role, tensor: string, first: number, width: number) => {
    role.fields.tensors.push({ tensor, first, width, is: 'values' })
    for (let i = 0; i < width; i++) role.left.delete(first + i)
  }
  for (const slot of layout.slots) {
    if (!Object.hasOwn(named, slot.name)) continue
    const { ids, values, mask, lengths, weights } = named[slot.name]!
    const tensor = slot.sparse ? ids : values
    if (tensor !== undefined) take(slot.sparse ? roles.sparse : roles.dense, tensor, slot.column, slot.width)
    if (weights !== undefined && slot.weights !== undefined) take(roles.dense, weights, slot.weights, slot.width)
    // Places without a value show in ids; numbers are those of their sequence.
    const list = idsOfSequence(slot)
    if (list === undefined) continue
    const { column: first, width, padding } = list
    for (const [tensor, is] of [[mask, 'mask'] as const, [lengths, 'lengths'] as const])
      if (tensor !== undefined) roles.sparse.fields.tensors.push({ tensor, first, width, is, padding })
  }
  for (const { column, list, field } of layout.crossed) {
    const tensor = Object.hasOwn(named, field.name) ? named[field.name]!.ids : undefined
    if (tensor !== undefined) take(roles.sparse, tensor, column, list?.width ?? 1)
  }
  const left = ({ left, fields }: Role) => ({ fields, columns: [...left] })
  return { sparse: left(roles.sparse), dense: left(roles.dense) }
}

interface Role {
  left: Set<number>
  fields: NonNullable<JoinedInput['fields']>
}

const roleOf = (width: number): Role => ({
  left: new Set(Array.from({ length: width }, (_, column) => column)),
  fields: { width, tensors: [] },
})

/** The list of ids that shows how long a list is: itself, or one of its sequence; undefined where there is none. */
export function idsOfSequence(slot: FieldColumn): FieldColumn | undefined {
  return slot.sparse || slot.group === undefined ? slot : slot.group.members.find(({ sparse }) => sparse)
}

/** Encoded rows under the names of the graph's inputs; what it has no input for is left out. */
export function namedInputs<S, D>(manifest: GraphOfFields, sparse: S, dense: D): Record<string, S | D> {
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
