import type { Manifest } from '../../schemas/manifest.ts'
import { ModelError } from '../base/errors.ts'
import type { Signature } from '../contracts/engine.ts'
import type { Layout } from '../features/layout.ts'
import { bindingsOf } from './bindings.ts'

/** Float32 counts exactly up to this. */
const exactIntegers = 2 ** 24

/** Throws INVALID_BUNDLE where a graph's inputs and output don't fit the manifest's fields and tasks. */
export function checkSignature(manifest: Manifest, layout: Layout, signature: Signature): void {
  const inputs = bindingsOf(manifest)
  const where = `${manifest.name}/${manifest.version}/${manifest.graph.file}`
  const wrong = (message: string) => {
    throw new ModelError('INVALID_BUNDLE', `${where} doesn't fit its manifest: ${message}`)
  }
  const expected = [
    { name: inputs.sparse, dtype: 'int32', width: layout.sparse.length, what: 'sparse fields' },
    { name: inputs.dense, dtype: 'float32', width: layout.dense.length, what: 'numeric fields' },
  ]
  for (const { name, dtype, width, what } of expected) {
    if (name === undefined) continue
    const input = signature.inputs.find((candidate) => candidate.name === name)
    if (input === undefined) wrong(`it has no input ${name}, but ${signature.inputs.map((i) => i.name).join(', ')}`)
    // Ids may be floats: Keras 3 exports them so.
    else if (dtype === 'int32' && input.dtype === 'float32' && layout.ids > exactIntegers)
      wrong(`its input ${name} is float32, which doesn't hold all ids up to ${layout.ids - 1}`)
    else if (dtype === 'float32' && input.dtype === 'int32') wrong(`its input ${name} is int32, not float32`)
    else if (input.width !== width) wrong(`its input ${name} is ${input.width} wide, but there are ${width} ${what}`)
  }
  for (const { name } of signature.inputs) {
    if (name !== inputs.sparse && name !== inputs.dense) wrong(`its input ${name} is not in /graph/inputs`)
  }
  const tasks = manifest.tasks.length
  const output = signature.outputs.find(({ name }) => name === inputs.probabilities)
  if (output && output.width !== tasks)
    wrong(`its output ${inputs.probabilities} is ${output.width} wide, but there are ${tasks} tasks`)
}
