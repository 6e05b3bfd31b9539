import { ModelError } from '../errors.ts'
import type { Batch, Signature, TensorData } from './engine.ts'

/** The batch's values of one input; MODEL_FAILED where they are missing or of another size. */
export function valuesOf(batch: Batch, { name, width }: Signature['inputs'][number]): TensorData {
  const values = batch.inputs[name]
  if (values === undefined) throw new ModelError('MODEL_FAILED', `the input ${name} is missing`)
  if (values.length !== batch.rows * width)
    throw new ModelError(
      'MODEL_FAILED',
      `the input ${name} holds ${values.length} values; ${batch.rows} rows of ${width} are ${batch.rows * width}`,
    )
  return values
}
