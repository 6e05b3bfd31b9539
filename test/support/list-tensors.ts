import type { FieldColumn } from '../../src/model/serving/features/field-column.ts'
import type { Layout } from '../../src/model/serving/features/layout.ts'
import type { FeatureValue } from '../../src/schemas/feature-value.ts'
import type { BodyBytes } from '../../src/server/body/body-format.ts'
import type { Random } from '../../src/tools/data/random.ts'
import { inferBody, stringBytes } from './infer-body.ts'
import { pick, type Row } from './random-lists.ts'

/** A tensor of the Open Inference Protocol. */
export interface ListTensor {
  name: string
  datatype: 'BYTES' | 'INT64' | 'INT32' | 'FP32' | 'FP64' | 'BOOL'
  shape: number[]
  /** Rows of its column. */
  rows: number
  values: (string | number | boolean)[]
}

type Values = (string | number)[]

const datatypes = { vocabulary: 'BYTES', hash: 'BYTES', integer: 'INT64', numeric: 'FP64', vector: 'FP32' } as const

/** A request's features by name: lists that are equally long in either form, in any order. */
export function featureTensors(layout: Layout, context: Row, candidates: Row[], random: Random): ListTensor[] {
  const tensors = layout.slots.flatMap((slot) => {
    const given = Object.hasOwn(context, slot.name) ? [context] : candidates
    if (!Object.hasOwn(given[0]!, slot.name)) return []
    const column = given.map((row) => row[slot.name]!)
    const datatype = datatypes[slot.encoder.field.kind]
    const tensor = { name: slot.name, datatype, rows: column.length }
    if (slot.group !== undefined) return listTensors(slot, column, tensor, random)
    return [{ ...tensor, shape: [column.length], values: column as Values }]
  })
  return tensors.toSorted(() => random.integer(3) - 1)
}

function listTensors(
  slot: FieldColumn,
  column: FeatureValue[],
  tensor: Omit<ListTensor, 'shape' | 'values'>,
  random: Random,
): ListTensor[] {
  const lists = column.map((list) => (Array.isArray(list) ? list : (list as { values: Values }).values))
  const weights = column.map((list, row) =>
    Array.isArray(list) ? lists[row]!.map(() => 1) : (list as { weights: number[] }).weights,
  )
  const { length } = lists[0]!
  const isMatrix = lists.every((list) => list.length === length) && (slot.group!.exact || random.integer(2) === 0)
  const values = lists.flat()
  const shape = isMatrix ? [lists.length, length] : [values.length]
  const weighted = column.some((list) => !Array.isArray(list))
  const { rows } = tensor
  const ends = [0]
  for (const list of lists) ends.push(ends.at(-1)! + list.length)
  return [
    { ...tensor, shape, values },
    ...(weighted
      ? [{ name: `${slot.name}.weights`, datatype: 'FP32' as const, rows, shape, values: weights.flat() }]
      : []),
    ...(isMatrix
      ? []
      : [
          {
            name: `${slot.name}.offsets`,
            datatype: pick(['INT32', 'INT64'] as const, random),
            rows,
            shape: [ends.length],
            values: ends,
          },
        ]),
  ]
}

const toBytes: Record<ListTensor['datatype'], (values: any[]) => ArrayBufferView> = {
  BYTES: stringBytes,
  INT64: (values) => BigInt64Array.from(values, BigInt),
  INT32: (values) => Int32Array.from(values),
  FP32: (values) => Float32Array.from(values),
  FP64: (values) => Float64Array.from(values),
  BOOL: (values) => Uint8Array.from(values, Number),
}

/** The body of a request with these tensors. */
export function inferTensors(tensors: ListTensor[], as: 'json' | 'bytes' | 'either', random: Random): BodyBytes {
  const bytes: ArrayBufferView[] = []
  const inputs = tensors.map(({ name, datatype, shape, values }) => {
    const input = { name, datatype, shape }
    if (as === 'json' || (as === 'either' && random.integer(2) === 0)) {
      const [rows, width] = shape
      const nested = () => Array.from({ length: rows! }, (_, row) => values.slice(row * width!, (row + 1) * width!))
      return { ...input, data: width !== undefined && random.integer(2) === 0 ? nested() : values }
    }
    const own = toBytes[datatype](values)
    bytes.push(own)
    return { ...input, parameters: { binary_data_size: own.byteLength } }
  })
  const { payload, headers } = inferBody({ inputs }, ...bytes)
  return { bytes: payload, headerLength: headers['inference-header-content-length'] }
}
