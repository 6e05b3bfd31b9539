import { ModelError } from '../../base/errors.ts'
import type { Batch, Signature, TensorData } from '../../contracts/engine.ts'

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

/** MODEL_FAILED where an input of integers is given floats. */
export function refuseFloats(name: string, values: TensorData): void {
  if (values instanceof Float32Array)
    throw new ModelError('MODEL_FAILED', `the input ${name} takes int32 values, not float32`)
}

/** MODEL_FAILED where ids, rows of a table, are negative. */
export function refuseNegative(name: string, ids: TensorData): void {
  // Of all together first: the usual case is decided by their sign bits.
  if (ids instanceof Int32Array) {
    let bits = 0
    for (let i = 0; i < ids.length; i++) bits |= ids[i]!
    if (bits >= 0) return
  }
  for (let i = 0; i < ids.length; i++)
    if (ids[i]! < 0) throw new ModelError('MODEL_FAILED', `the input ${name} holds the id ${ids[i]}`)
}
