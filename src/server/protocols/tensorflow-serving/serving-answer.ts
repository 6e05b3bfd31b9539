import type { PredictionTable } from '../../../model/contracts/prediction.ts'
import type { OutputTensor } from '../../../model/serving/prediction/tensors.ts'
import { JsonWriter } from '../json-writer.ts'
import { hasId, jsonKey } from '../predict/predict-answer.ts'

/**
 * An answer without rows left out, as TensorFlow Serving writes it: `predictions`, one value per row, for `instances`,
 * or `outputs`, one array per output, for `inputs`. The values of a single output stand bare, those of several below
 * their names; then a row's `id` is echoed, where it has one.
 */
export function writeServingAnswer(
  outputs: readonly OutputTensor[],
  table: PredictionTable,
  form: 'instances' | 'inputs',
): Buffer {
  const { requested: rows, ids } = table
  const byTask = new Map(table.tasks)
  const tensors = outputs.map(({ name, dims, tasks }, i) => ({
    key: jsonKey(name, i === 0),
    dims,
    columns: tasks.map((task) => byTask.get(task)!),
  }))
  const json = new JsonWriter(256 + rows * (outputs.reduce((sum, { name }) => sum + name.length + 16, 0) + 24))
  const eachRow = (write: (row: number) => void) => {
    json.byte(openBracket)
    for (let row = 0; row < rows; row++) {
      if (row > 0) json.byte(comma)
      write(row)
    }
    json.byte(closeBracket)
  }
  json.text(form === 'instances' ? '{"predictions":' : '{"outputs":')
  if (tensors.length === 1) {
    const [tensor] = tensors
    eachRow((row) => writeValue(json, tensor!, row))
  } else if (form === 'instances') {
    eachRow((row) => {
      json.byte(openBrace)
      if (hasId(ids, row)) {
        json.raw(idKey)
        json.idAt(ids, row)
        json.byte(comma)
      }
      for (const tensor of tensors) {
        json.raw(tensor.key)
        writeValue(json, tensor, row)
      }
      json.byte(closeBrace)
    })
  } else {
    json.byte(openBrace)
    if (ids !== undefined) {
      json.raw(idKey)
      eachRow((row) => json.idAt(ids, row))
      json.byte(comma)
    }
    for (const tensor of tensors) {
      json.raw(tensor.key)
      eachRow((row) => writeValue(json, tensor, row))
    }
    json.byte(closeBrace)
  }
  json.byte(closeBrace)
  return json.finish()
}

interface Columns {
  dims: readonly number[]
  columns: readonly Float64Array[]
}

/** A row of a tensor: a number, or nested arrays. */
function writeValue(json: JsonWriter, { dims, columns }: Columns, row: number): void {
  if (dims.length === 0) {
    json.number(columns[0]![row]!)
    return
  }
  let next = 0
  const write = (depth: number): void => {
    const side = dims[depth]
    if (side === undefined) {
      json.number(columns[next++]![row]!)
      return
    }
    json.byte(openBracket)
    for (let i = 0; i < side; i++) {
      if (i > 0) json.byte(comma)
      write(depth + 1)
    }
    json.byte(closeBracket)
  }
  write(0)
}

const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const idKey = Buffer.from('"id":')
