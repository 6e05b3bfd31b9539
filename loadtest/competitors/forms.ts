import { jsonContent, type RequestContent } from '../request-file.ts'
import { idFields } from './columns.ts'
import { type ReferenceModel, tasks } from './models.ts'
import type { Query } from './queries.ts'

/** A wire format of queries and answers. */
export interface Form {
  /** For people. */
  title: string
  /** Path for the model of this name. */
  path(model: string): string
  render(query: Query, model: ReferenceModel): RequestContent
  /** Probabilities [rows, tasks], row-major, of an answer with status 200. */
  parse(body: Buffer, headers: Headers): number[]
}

const inferPath = (model: string) => `/v2/models/${model}/infer`
const binaryHeader = 'inference-header-content-length'

/**
 * All forms by name. Servers list the names of their forms in servers.ts.
 *
 * `tensors`, matrices of encoded rows, is the form of multigate and the hand-written servers. `columns` is multigate's
 * own: one context, columnar candidates. `oip` and `binary` are the Open Inference Protocol's JSON and its binary
 * tensor extension.
 */
export const forms = {
  tensors: {
    title: 'tensors',
    path: () => '/predict',
    render: (query, model) =>
      json({
        sparse: matrix(query.sparse, model.sparse.fields),
        dense: matrix(query.dense, model.dense.fields),
      }),
    parse: (body) => probabilitiesOf(JSON.parse(body.toString())),
  },
  columns: {
    title: 'columns',
    path: () => '/predict',
    render: (query, model) => json(toColumns(query, model)),
    parse: (body) => probabilitiesOf(JSON.parse(body.toString())),
  },
  oip: {
    title: 'JSON tensors',
    path: inferPath,
    render: (query, model) =>
      json({
        inputs: tensorsOf(query, model).map(({ values, ...tensor }) => ({ ...tensor, data: Array.from(values) })),
      }),
    parse: (body) => (JSON.parse(body.toString()) as { outputs: { data: number[] }[] }).outputs[0]!.data,
  },
  binary: {
    title: 'binary tensors',
    path: inferPath,
    render(query, model) {
      const tensors = tensorsOf(query, model).map(({ values, datatype, ...tensor }) => {
        const typed = datatype === 'FP32' ? Float32Array.from(values) : Int32Array.from(values)
        return { tensor: { ...tensor, datatype, parameters: { binary_data_size: typed.byteLength } }, typed }
      })
      const head = Buffer.from(
        JSON.stringify({ inputs: tensors.map(({ tensor }) => tensor), parameters: { binary_data_output: true } }),
      )
      return {
        headers: { 'content-type': 'application/octet-stream', [binaryHeader]: String(head.length) },
        body: Buffer.concat([head, ...tensors.map(({ typed }) => Buffer.from(typed.buffer))]),
      }
    },
    parse(body, headers) {
      const length = Number(headers.get(binaryHeader))
      const { outputs } = JSON.parse(body.toString('utf8', 0, length)) as { outputs: { shape: [number, number] }[] }
      const values = Array.from({ length: (body.length - length) / 4 }, (_, i) => body.readFloatLE(length + i * 4))
      const [rows] = outputs[0]!.shape
      // One tensor for all tasks, or one tensor per task.
      if (outputs.length === 1) return values
      return Array.from({ length: rows }, (_, row) => outputs.map((_, task) => values[task * rows + row]!)).flat()
    },
  },
} satisfies Record<string, Form>

export type FormName = keyof typeof forms

const json = (value: unknown) => jsonContent(JSON.stringify(value))

function matrix(values: Int32Array | Float64Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) =>
    Array.from(values.subarray(row * width, (row + 1) * width)),
  )
}

function tensorsOf(query: Query, model: ReferenceModel) {
  return [
    { name: 'sparse', shape: [query.rows, model.sparse.fields], datatype: 'INT32', values: query.sparse },
    { name: 'dense', shape: [query.rows, model.dense.fields], datatype: 'FP32', values: query.dense },
  ] as const
}

/** Names as in `featuresOf`; ids are relative to their field. */
function toColumns(query: Query, model: ReferenceModel) {
  const { sparse, dense } = model
  const context: Record<string, number | number[]> = {}
  const candidates: Record<string, number[]> = {}
  const add = (name: string, isContext: boolean, value: (row: number) => number) => {
    if (isContext) context[name] = value(0)
    else candidates[name] = Array.from({ length: query.rows }, (_, row) => value(row))
  }
  for (const { name, side, column, list, firstId } of idFields(model))
    if (list === undefined)
      add(name, side === 'context', (row) => query.sparse[row * sparse.fields + column]! - firstId)
    else context[name] = Array.from(query.sparse.subarray(column, column + list), (id) => id - firstId)
  for (let field = 0; field < dense.fields; field++)
    add(`x${field}`, field < dense.context, (row) => query.dense[row * dense.fields + field]!)
  return { context, candidates }
}

/** The hand-written servers answer with a matrix, multigate with rows or columns, as it was asked. */
export type Answer =
  | { probabilities: number[][]; predictions?: undefined }
  | { probabilities?: undefined; predictions: Record<string, number>[] | Record<string, number[]> }

/** Probabilities [rows, tasks] of an answer, row-major. */
export function probabilitiesOf({ probabilities, predictions }: Answer, names: readonly string[] = tasks): number[] {
  if (probabilities) return probabilities.flat()
  if (Array.isArray(predictions)) return predictions.flatMap((row) => names.map((task) => row[task]!))
  return predictions[names[0]!]!.flatMap((_, row) => names.map((task) => predictions[task]![row]!))
}
