import type { InferenceSession } from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import { count } from '../../../schemas/check.ts'
import type { GraphSource, Outputs } from '../../contracts/engine.ts'
import { invalidIn, unsupportedIn } from '../../graph/ir/file-errors.ts'

/* The outputs of a saved graph: numbers per row. */

/**
 * Declared numbers per row of an output. Throws INVALID_BUNDLE where it is missing, UNSUPPORTED_GRAPH where it has no
 * fixed width.
 */
export function sessionWidth(file: string, session: InferenceSession, name: string): number {
  const output = session.outputMetadata.find((output) => output.name === name)
  if (output === undefined) throw invalidIn(file, `there is no output ${name}, but ${session.outputNames.join(', ')}`)
  if (!output.isTensor || output.type !== 'float32') throw unsupportedIn(file, `the output ${name} is not float32`)
  const dims = output.shape.slice(1)
  if (!dims.every((side) => typeof side === 'number'))
    throw unsupportedIn(file, `the output ${name} has no fixed width: [${output.shape}]`)
  return product(dims)
}

/** The outputs of a session for `rows` rows. Throws MODEL_FAILED for an output that is not `widths` numbers per row. */
export function outputsOf(
  results: InferenceSession.OnnxValueMapType,
  wanted: readonly string[],
  widths: ReadonlyMap<string, number>,
  { rows, file }: { rows: number; file: string },
): Outputs {
  const read = (name: string) => {
    const { data, dims } = results[name]!
    const width = widths.get(name)!
    if (data.length === rows * width) return data as Float32Array
    throw new ModelError(
      'MODEL_FAILED',
      `${file}: the output ${name} has the shape [${dims.join(', ')}] for ${count(rows, 'row')}, not ${count(width, 'number')} per row`,
    )
  }
  return Object.fromEntries(wanted.map((name) => [name, read(name)]))
}

/**
 * Which inputs must not be negative. All integers of a layers model are rows of an embedding table; of a TensorFlow
 * graph those inputs are marked that are; of an ONNX file the graph is taken at its word: it counts them from the end.
 */
export function idsOf(
  { format }: GraphSource,
  marked: { name: string }[],
): (input: { name: string; dtype: 'int32' | 'float32' }) => boolean {
  const names = new Set(marked.map(({ name }) => name))
  return ({ name, dtype }) => (format === 'layers' ? dtype === 'int32' : names.has(name))
}
