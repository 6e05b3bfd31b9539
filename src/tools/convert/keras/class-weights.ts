import { ModelError } from '../../../base/errors.ts'
import { type ClassWeight, type KerasClass, optionsBeyond } from '../../../model/graph/architectures/keras-class.ts'
import type { ModelShape } from '../../../model/graph/architectures/layers.ts'
import { architectureOf, architectures } from '../../../model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'

export type ClassShape = Pick<ModelShape, 'sparseFields' | 'denseFields' | 'ids' | 'tasks'>

/** The architectures that are classes of the reference, by their names in Python. */
export const classNames: Readonly<Record<string, string>> = Object.fromEntries(
  architectures.flatMap(({ name, keras }) => (keras === undefined ? [] : [[keras.className, name]])),
)

/** An architecture's class. Throws UNSUPPORTED_GRAPH where it has none. */
export function classOf(name: string): KerasClass {
  const { keras } = architectureOf(name)
  if (keras === undefined)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${name} has no class in Keras: known are ${Object.keys(classNames).join(', ')}`,
    )
  return keras
}

/**
 * Every weight of an architecture, in the order of its layers. Throws UNSUPPORTED_GRAPH where Keras has no such class.
 */
export function classWeights(options: ArchitectureOptions, shape: ClassShape): ClassWeight[] {
  const { sparseFields: F, denseFields: D, ids, tasks } = shape
  const keras = classOf(options.name)
  const beyond = optionsBeyond(keras, options)
  if (beyond.length > 0)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `the reference's class ${keras.className} has no ${beyond.join(', ')}: such models are neither imported from Keras nor exported to it; use tfjs or onnx`,
    )
  const embedding: ClassWeight[] = []
  const embed = (name: string, shape: number[], path: string) =>
    embedding.push({
      name,
      shape,
      keras2: `layers/multi_input_embedding/${path}`,
      keras3: keras.keras3 ? `embedding/${path}` : undefined,
    })
  if (F > 0) embed('embedding/embeddings', [ids, options.dim_emb], 'sparse_embedding/vars/0')
  if (D > 0) embed('dense_embedding/kernel', [D, D * options.dim_emb], 'dense_embedding/vars/0')
  return [...embedding, ...keras.weights(options, (F + D) * options.dim_emb, tasks)]
}
