import type { GraphSource } from '../../contracts/engine.ts'

/**
 * Which inputs must not be negative. All integers of a layers model are rows of an embedding table; of a TensorFlow graph
 * those inputs are marked that are; of an ONNX file the graph is taken at its word: it counts them from the end.
 */
export function idsOf(
  { format }: GraphSource,
  marked: { name: string }[],
): (input: { name: string; dtype: 'int32' | 'float32' }) => boolean {
  const names = new Set(marked.map(({ name }) => name))
  return ({ name, dtype }) => (format === 'layers' ? dtype === 'int32' : names.has(name))
}
