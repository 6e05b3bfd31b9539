import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Batch, GraphSource, Signature } from '../../../src/model/contracts/engine.ts'
import { noReference, type Reference, type ReferenceModel, referenceFolder, referenceModels } from '../reference.ts'

/** One graph that a Python tool saved of a reference model. */
export interface ReferenceGraph {
  model: ReferenceModel
  /** Below the model's folder. */
  name: string
  source: GraphSource
}

/** Every SavedModel and TensorFlow.js graph model of the reference models; none where they are absent. */
export const referenceGraphs: ReferenceGraph[] = noReference
  ? []
  : referenceModels.flatMap((model) =>
      readdirSync(join(referenceFolder, model))
        .filter((name) => /^(saved_model|tfjs)/.test(name))
        .map((name) => ({ model, name, source: sourceOf(model, name) })),
    )

function sourceOf(model: ReferenceModel, name: string): GraphSource {
  const folder = join(referenceFolder, model, name)
  const outputs = [model.startsWith('keras2') ? 'output_1' : 'output_0']
  return name.startsWith('tfjs')
    ? { folder, format: 'graph_model', file: 'model.json', outputs }
    : { folder, format: 'saved_model', file: 'saved_model.pb', outputs }
}

/** The reference rows by a signature's names: inputs are told apart by their widths. */
export function batchFor({ inputs }: Signature, { batch: { rows, inputs: given } }: Reference): Batch {
  const { sparse, dense } = given as { sparse: Int32Array; dense: Float32Array }
  const of = (width: number) => (width * rows === sparse.length ? sparse : dense)
  return { rows, inputs: Object.fromEntries(inputs.map(({ name, width }) => [name, of(width)])) }
}

export function errorOf(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  return actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
}
