import { isUtf8 } from 'node:buffer'
import { NumberMatrix } from '../../../model/serving/features/number-matrix.ts'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import type { InputTensor } from '../../../model/serving/prediction/tensors.ts'
import type { InferDatatype, InferInput } from '../../../schemas/infer.ts'
import { type BadValue, datatypes } from './infer-datatypes.ts'
import { called, type InferBody, listed } from './infer-request.ts'

/**
 * An input of a model, as requests name it: `sparse` takes integers, `dense` any numbers. Ids that a graph takes as
 * float32 may come so.
 */
export type ModelInput = Pick<InputTensor, 'role' | 'name' | 'dims' | 'width'> & { dtype?: InputTensor['dtype'] }

/** The problem of a tensor or of one value, whose `place` is in brackets after the name. */
export type Wrong = (message: string, place?: string) => Error

/** Numbers of a tensor, or the first that is none. */
type Values = NumberMatrix['values']

/**
 * Reads the tensors of a body one after the other, as the bytes of those that have any follow each other in this order.
 * Throws INVALID_REQUEST.
 */
export interface TensorReader {
  numbers(
    tensor: InferInput,
    datatype: InferDatatype,
    count: number,
    data: () => unknown[],
    wrong: Wrong,
  ): Values | BadValue
  strings(tensor: InferInput, count: number, data: () => unknown[], wrong: Wrong): string[] | BadValue
  /** All bytes must belong to a tensor. */
  end(): void
}

export function createTensorReader(binary: Buffer): TensorReader {
  let offset = 0
  /** The next bytes; undefined where the tensor is JSON. */
  function take(
    tensor: InferInput,
    needed: number | undefined,
    wrong: Wrong,
  ): { start: number; size: number } | undefined {
    const size = tensor.parameters?.binary_data_size ?? undefined
    if (size === undefined) return undefined
    if (tensor.data !== undefined && tensor.data !== null) throw wrong('has both data and binary_data_size')
    if (needed !== undefined && size !== needed) {
      const shape = `[${tensor.shape.join(', ')}] of ${tensor.datatype}`
      throw wrong(`has a binary_data_size of ${size} where shape ${shape} takes ${needed}`)
    }
    if (size > binary.length - offset)
      throw wrong(`has a binary_data_size of ${size}, but only ${binary.length - offset} bytes are left of the body`)
    offset += size
    return { start: offset - size, size }
  }

  return {
    numbers(tensor, name, count, data, wrong) {
      const datatype = datatypes[name]
      const bytes = take(tensor, count * datatype.size, wrong)
      if (bytes === undefined) return datatype.fromNumbers(data())
      return datatype.fromBytes(copy(binary, bytes.start, bytes.size))
    },
    strings(tensor, count, data, wrong) {
      const bytes = take(tensor, undefined, wrong)
      if (bytes === undefined) return stringsFromJson(data())
      return stringsFromBytes(binary.subarray(bytes.start, bytes.start + bytes.size), count)
    },
    end() {
      if (offset === binary.length) return
      const message = `has ${binary.length - offset} bytes more than its JSON part and its tensors take`
      throw invalidRequest([{ path: '', message }])
    },
  }
}

/** Bytes in a buffer of their own: any offset is aligned there, and it may be handed to another thread. */
function copy({ buffer, byteOffset }: Buffer, offset: number, size: number): ArrayBuffer {
  const start = byteOffset + offset
  return (buffer as ArrayBuffer).slice(start, start + size)
}

/** Reads the request's tensors for the inputs of a model, encoded already. Throws INVALID_REQUEST. */
export function readInputs(
  { request, binary }: InferBody,
  inputs: readonly ModelInput[],
): Record<string, NumberMatrix> {
  const tensors: Record<string, NumberMatrix> = {}
  const reader = createTensorReader(binary)
  for (const tensor of request.inputs) {
    const wrong = wrongOf(tensor)
    const input = inputs.find(({ name }) => name === tensor.name)
    if (input === undefined) throw wrong(`is not known: the model has ${listed(inputs.map(({ name }) => name))}`)
    const datatype = datatypeOf(tensor, input, wrong)
    const rows = rowsOf(tensor, input, wrong)
    const values = reader.numbers(tensor, datatype, rows * input.width, () => flat(tensor, rows, input, wrong), wrong)
    if ('message' in values) {
      const { index, message } = values
      throw wrong(message, `[${Math.floor(index / input.width)}, ${index % input.width}]`)
    }
    tensors[input.name] = new NumberMatrix(rows, input.width, values)
  }
  reader.end()
  return tensors
}

/** Reports the problem of a tensor by its name. */
export function wrongOf({ name }: InferInput): Wrong {
  return (message, place = '') => invalidRequest([{ path: called('input', name) + place, message }])
}

function datatypeOf({ datatype: name }: InferInput, input: ModelInput, wrong: Wrong): InferDatatype {
  const taken = datatypesOf(input)
  const known = numberType(name)
  if (known !== undefined && taken.includes(known)) return known
  throw wrong(`can't have the datatype ${JSON.stringify(name.slice(0, 64))}: it takes ${taken.join(', ')}`)
}

/**
 * The datatypes in which an input may be sent. Ids may come as any integers, numbers as any numbers: FP64 values are
 * rounded to float32 as the numbers of a JSON body are, and refused beyond its range. A fraction is never taken for an
 * id.
 */
export function datatypesOf({ role, dtype }: Pick<ModelInput, 'role' | 'dtype'>): readonly InferDatatype[] {
  return role === 'dense' || dtype === 'float32' || dtype === 'bool' ? allDatatypes : integerDatatypes
}

const allDatatypes = Object.keys(datatypes) as InferDatatype[]
const integerDatatypes = allDatatypes.filter((name) => datatypes[name].integer)

/** The name, where it is that of a datatype of numbers. */
export function numberType(name: string): InferDatatype | undefined {
  return Object.hasOwn(datatypes, name) ? (name as InferDatatype) : undefined
}

/** [rows, …dims]; for one number per row, [rows] and [rows, 1] are the same. */
function rowsOf({ shape }: InferInput, { dims, width }: ModelInput, wrong: Wrong): number {
  const [rows, ...sides] = shape
  const fits = sides.length === dims.length && sides.every((side, i) => side === dims[i])
  const single = width === 1 && sides.every((side) => side === 1)
  if (rows !== undefined && rows > 0 && (fits || single)) return rows
  throw wrong(`must have the shape [${['rows', ...dims].join(', ')}] with at least one row, not ${shapeText(shape)}`)
}

/** A shape for a message: it may be long. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`
}

/** The tensor's data as one array, row-major; only its form is looked at, not its values. */
export function flat(
  { data }: InferInput,
  rows: number,
  { dims, width }: Pick<ModelInput, 'dims' | 'width'>,
  wrong: Wrong,
): unknown[] {
  if (data === undefined || data === null) throw wrong('has neither data nor binary_data_size')
  if (!Array.isArray(data)) throw wrong('must have an array as data')
  if (!Array.isArray(data[0])) {
    if (data.length === rows * width) return data
    throw wrong(`has ${data.length} values where its shape takes ${rows * width}`)
  }
  if (data.length !== rows) throw wrong(`has ${data.length} rows where its shape takes ${rows}`)
  if (dims.length > 1) {
    const whole: unknown[] = data.flat(dims.length)
    if (whole.length !== rows * width) throw wrong(`has ${whole.length} values where its shape takes ${rows * width}`)
    return whole
  }
  const odd = data.findIndex((row) => !Array.isArray(row) || row.length !== width)
  if (odd >= 0) throw wrong(`has a row ${odd} that is no array of ${width} values`)
  return data.flat()
}

/** Bytes of a string's length before it. */
const prefix = 4

/**
 * The strings of a BYTES tensor as they come over the wire: each with its length before it, 32 bits little-endian.
 * Reports a problem unless `count` of them take all bytes.
 */
export function stringsFromBytes(bytes: Buffer, count: number): string[] | BadValue {
  const strings: string[] = []
  let offset = 0
  for (let index = 0; index < count; index++) {
    if (bytes.length - offset < prefix)
      return { index, message: `has no length: only ${bytes.length - offset} bytes are left` }
    const start = offset + prefix
    const length = bytes.readUInt32LE(offset)
    if (length > bytes.length - start)
      return { index, message: `is said to have ${length} bytes, but only ${bytes.length - start} are left` }
    offset = start + length
    const text = bytes.toString('utf8', start, offset)
    // Invalid UTF-8 becomes U+FFFD, which can also be sent.
    if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, offset))) return { index, message: 'must be UTF-8' }
    strings.push(text)
  }
  if (offset < bytes.length)
    return { index: count, message: `is too much: ${bytes.length - offset} bytes follow the last of ${count} strings` }
  return strings
}

/** The strings of a JSON array. */
export function stringsFromJson(values: unknown[]): string[] | BadValue {
  const index = values.findIndex((value) => typeof value !== 'string')
  return index < 0 ? (values as string[]) : { index, message: 'must be a string' }
}
