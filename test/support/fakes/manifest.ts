import type { Manifest } from '../../../src/schemas/manifest.ts'

/** A small ads model: two vocabularies, a hash, an integer and two numbers; click, conversion, and their product. */
export function exampleManifest(changes: Partial<Manifest> = {}): Manifest {
  return {
    manifest: 1,
    name: 'ads',
    version: '1',
    features: [
      {
        name: 'country',
        side: 'context',
        kind: 'vocabulary',
        values: ['DE', 'FR'],
        out_of_vocabulary: 'bucket',
        missing: { default: 'FR' },
      },
      { name: 'hour', side: 'context', kind: 'integer', size: 24, out_of_vocabulary: 'error', missing: 'error' },
      {
        name: 'campaign',
        side: 'candidate',
        kind: 'vocabulary',
        values: ['c1', 'c2', 'c3'],
        out_of_vocabulary: 'error',
        missing: 'error',
      },
      { name: 'creative', side: 'candidate', kind: 'hash', buckets: 50, seed: 7, missing: { default: '' } },
      {
        name: 'price',
        side: 'candidate',
        kind: 'numeric',
        scaling: { method: 'standard', mean: 2, deviation: 4 },
        missing: 'error',
      },
      { name: 'age', side: 'cross', kind: 'numeric', scaling: { method: 'none' }, missing: { default: 30 } },
    ],
    tasks: [{ name: 'ctr' }, { name: 'cvr' }],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: 'ids', dense: 'numbers' },
      outputs: { probabilities: 'p' },
    },
    precision: 'float32',
    files: { 'model.onnx': '0'.repeat(64) },
    ...changes,
  }
}

/** The same with a gate of three experts for each task. */
export function gatedManifest(changes: Partial<Manifest> = {}): Manifest {
  const { graph } = exampleManifest()
  const outputs = { ...graph.outputs, logits: 'l', gates: { ctr: 'gate_ctr', cvr: 'gate_cvr' } }
  return exampleManifest({ graph: { ...graph, outputs }, ...changes })
}
