import type { PredictionTable } from '../../model/prediction/answer.ts'
import { JsonWriter } from '../../model/prediction/json-writer.ts'
import type { InferRequest } from '../../schemas/infer.ts'

/** An answer as it goes over the wire. */
export interface EncodedAnswer {
  body: Buffer
  /** Bytes of the JSON part, where tensors follow it. */
  headerLength: number | undefined
}

/** One output a task: float32 [rows, 1], as bytes where asked for, else as JSON. */
export function encodeAnswer(
  model: { name: string; version: string },
  { id, parameters, outputs }: InferRequest,
  table: PredictionTable,
): EncodedAnswer {
  const whole = parameters?.binary_data_output ?? false
  const binary: Uint8Array[] = []
  const json = new JsonWriter(512 + 12 * table.requested * table.tasks.length)
  json.text(`{"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)},`)
  if (typeof id === 'string') json.text(`"id":${JSON.stringify(id)},`)
  json.text('"outputs":[')
  for (const [i, [name, probabilities]] of table.tasks.entries()) {
    const shape = `[${probabilities.length},1]`
    json.text(`${i === 0 ? '' : ','}{"name":${JSON.stringify(name)},"datatype":"FP32","shape":${shape},`)
    if (outputs?.[i]?.parameters?.binary_data ?? whole) {
      const bytes = new Uint8Array(new Float32Array(probabilities).buffer)
      binary.push(bytes)
      json.text(`"parameters":{"binary_data_size":${bytes.length}}}`)
    } else {
      json.text('"data":')
      writeNumbers(json, probabilities)
      json.text('}')
    }
  }
  json.text(']}')
  const head = json.finish()
  if (binary.length === 0) return { body: head, headerLength: undefined }
  return { body: Buffer.concat([head, ...binary]), headerLength: head.length }
}

function writeNumbers(json: JsonWriter, values: Float64Array): void {
  for (let i = 0; i < values.length; i++) {
    json.byte(i === 0 ? openBracket : comma)
    json.number(values[i]!)
  }
  json.byte(closeBracket)
}

const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d
