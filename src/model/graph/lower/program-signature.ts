import { product } from '../../../base/arrays.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import type { SavedSignature, SavedTensor } from '../../contracts/saved-signature.ts'
import { unsupportedIn } from '../ir/file-errors.ts'
import { readProgram } from './read-tensorflow-graph.ts'
import type { Argument } from './tensorflow/program.ts'
import { elementTypeOf, nameOfType } from './tensorflow/tensor-data.ts'

/**
 * The declared inputs and outputs of a TensorFlow graph that cannot be lowered to ONNX, and that TensorFlow computes.
 * The ids of its tables are not known. Rejects like `survey`.
 */
export async function signatureOfProgram(source: GraphSource): Promise<SavedSignature> {
  const program = await readProgram(source)
  const inputs = program.inputs.map((input): SavedTensor => {
    const dims = isOpenList(input) ? [-1] : sidesOf(input)
    if (dims === undefined) throw unsupportedIn(source.file, `the input ${input.key} is not rows of a fixed width`)
    return savedTensorOf(input, dims)
  })
  const outputs = program.outputs.flatMap((output): SavedTensor[] => {
    const dims = sidesOf(output)
    return dims === undefined ? [] : [savedTensorOf(output, dims)]
  })
  return { inputs, outputs }
}

function savedTensorOf({ key, type }: Argument, dims: number[]): SavedTensor {
  const ids = Array<undefined>(Math.abs(product(dims))).fill(undefined)
  return { name: key, dtype: elementTypeOf(type) ?? nameOfType(type), dims, ids, shared: false }
}

/** Whether an input is [batch, any]. */
function isOpenList({ shape }: Argument): boolean {
  return shape?.length === 2 && shape.every((side) => side === -1)
}

/** Wider tensors are neither features nor tasks. */
const widest = 65_536

/** Dimensions after the batch; undefined if one is open or there is no batch. */
function sidesOf({ shape }: Argument): number[] | undefined {
  const [batch, ...sides] = shape ?? []
  const width = product(sides)
  return batch === -1 && sides.every((side) => side > 0) && width <= widest ? sides : undefined
}
