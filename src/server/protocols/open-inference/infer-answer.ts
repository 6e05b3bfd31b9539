import { suggestNames } from '../../../base/names.ts'
import type { PredictionTable } from '../../../model/contracts/prediction.ts'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import type { OutputTensor } from '../../../model/serving/prediction/tensors.ts'
import type { InferRequest } from '../../../schemas/infer.ts'
import { JsonWriter } from '../json-writer.ts'
import { writeNumberRows } from '../number-rows.ts'
import { called } from './infer-request.ts'

/** An answer as it goes over the wire. */
export interface EncodedAnswer {
  body: Buffer
  /** Bytes of the JSON part, where tensors follow it. */
  headerLength: number | undefined
}

/** The outputs that a request asks for, in its order; all where it names none. Throws INVALID_REQUEST. */
export function outputsOf(
  { outputs: asked }: Pick<InferRequest, 'outputs'>,
  outputs: readonly OutputTensor[],
): readonly OutputTensor[] {
  if (!asked?.length) return outputs
  return asked.map(({ name }) => {
    const output = outputs.find((candidate) => candidate.name === name)
    if (output !== undefined) return output
    const names = outputs.map((output) => output.name)
    const message = `is no output of this model${suggestNames(name, names)}`
    throw invalidRequest([{ path: called('output', name), message }])
  })
}

/**
 * Each output float32 [rows, …dims], as bytes where asked for, else as JSON. `table` has the tasks of `outputs` in
 * order.
 */
export function encodeAnswer(
  model: { name: string; version: string },
  { id, parameters, outputs: asked }: Omit<InferRequest, 'inputs'>,
  outputs: readonly OutputTensor[],
  table: PredictionTable,
): EncodedAnswer {
  const whole = parameters?.binary_data_output ?? false
  const binary: Uint8Array[] = []
  const json = new JsonWriter(512 + 12 * table.requested * table.tasks.length)
  json.text(`{"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)},`)
  if (typeof id === 'string') json.text(`"id":${JSON.stringify(id)},`)
  json.text('"outputs":[')
  let next = 0
  for (const [i, { name, dims, tasks }] of outputs.entries()) {
    const columns = table.tasks.slice(next, next + tasks.length).map(([, values]) => values)
    next += tasks.length
    const shape = `[${[table.requested, ...dims].join(',')}]`
    json.text(`${i === 0 ? '' : ','}{"name":${JSON.stringify(name)},"datatype":"FP32","shape":${shape},`)
    if (asked?.[i]?.parameters?.binary_data ?? whole) {
      const bytes = new Uint8Array(rowMajor(columns, table.requested).buffer)
      binary.push(bytes)
      json.text(`"parameters":{"binary_data_size":${bytes.length}}}`)
    } else {
      json.text('"data":[')
      const numbers = columns.map((values) => ({ before: comma, values }))
      writeNumberRows(json, numbers, table.requested, comma.length)
      json.text(']}')
    }
  }
  json.text(']}')
  const head = json.finish()
  if (binary.length === 0) return { body: head, headerLength: undefined }
  return { body: Buffer.concat([head, ...binary]), headerLength: head.length }
}

/** Columns as one float32 array [rows, columns]. */
function rowMajor(columns: readonly Float64Array[], rows: number): Float32Array {
  const [only] = columns
  if (columns.length === 1) return new Float32Array(only!)
  const all = new Float32Array(rows * columns.length)
  for (const [place, column] of columns.entries())
    for (let row = 0; row < rows; row++) all[row * columns.length + place] = column[row]!
  return all
}

const comma = Buffer.from(',')
