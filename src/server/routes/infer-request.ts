import { Compile } from 'typebox/compile'
import type { Problem } from '../../model/errors.ts'
import { NumberMatrix } from '../../model/features/matrix.ts'
import { invalidRequest } from '../../model/features/problems.ts'
import type { InputTensor } from '../../model/prediction/tensors.ts'
import { type InferDatatype, type InferInput, InferRequest } from '../../schemas/infer.ts'
import { readJson } from '../json/read-body.ts'
import { allProblems } from '../plugins/validation.ts'
import { datatypes } from './infer-datatypes.ts'

const schema = Compile(InferRequest)

/** A body taken apart: what was asked, and the bytes of the tensors after it. */
export interface InferBody {
  request: InferRequest
  binary: Buffer
}

/** Parameters of an output that its client would look for another answer by; others may be passed over. */
const elsewhere = ['classification', 'shared_memory_region']

/** An input of a model, as requests name it: `sparse` takes integers, `dense` any numbers. */
export type ModelInput = Pick<InputTensor, 'role' | 'name' | 'dims' | 'width'>

/**
 * Takes a body apart and checks its JSON part. `headerLength` is the header Inference-Header-Content-Length: bytes of
 * the JSON part; without it the whole body is JSON. Throws INVALID_REQUEST.
 */
export function readBody(body: Buffer, headerLength: string | undefined): InferBody {
  const length = headerLength === undefined ? body.length : jsonLength(headerLength, body.length)
  const request = readJson(body.subarray(0, length))
  if (!schema.Check(request)) {
    // Where null is possible too, only what else there could be helps.
    const problems = allProblems(schema, request).filter(({ message }) => !/^must be null$|anyOf/.test(message))
    throw invalidRequest(problems.map(named(request)))
  }
  repeated('input', request.inputs)
  repeated('output', request.outputs ?? [])
  for (const { name, parameters } of request.outputs ?? []) {
    const asked = elsewhere.find((parameter) => parameters && parameter in parameters)
    if (asked) throw invalidRequest([{ path: called('output', name), message: `can't be had by ${asked}` }])
  }
  return { request, binary: body.subarray(length) }
}

function jsonLength(header: string, length: number): number {
  const value = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN
  if (value <= length) return value
  const text = JSON.stringify(header.slice(0, 64))
  throw invalidRequest([
    {
      path: 'The header Inference-Header-Content-Length',
      message: `must be the length of the JSON part, at most ${length}, the length of the body; it is ${text}`,
    },
  ])
}

function repeated(what: 'input' | 'output', tensors: { name: string }[]): void {
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name)) throw invalidRequest([{ path: called(what, name), message: 'is given twice' }])
    names.add(name)
  }
}

/** Reads the request's tensors for the inputs of a model; all bytes must belong to one. Throws INVALID_REQUEST. */
export function readInputs(
  { request, binary }: InferBody,
  inputs: readonly ModelInput[],
): Record<string, NumberMatrix> {
  const tensors: Record<string, NumberMatrix> = {}
  let offset = 0
  for (const tensor of request.inputs) {
    const wrong = (message: string, place = '') =>
      invalidRequest([{ path: called('input', tensor.name) + place, message }])
    const input = inputs.find(({ name }) => name === tensor.name)
    if (input === undefined) {
      throw wrong(`is not known: the model has ${inputs.map(({ name }) => JSON.stringify(name)).join(' and ')}`)
    }
    const datatype = datatypeOf(tensor, input, wrong)
    const rows = rowsOf(tensor, input, wrong)
    const count = rows * input.width
    const size = tensor.parameters?.binary_data_size ?? undefined
    let values: NumberMatrix['values'] | { index: number; message: string }
    if (size === undefined) values = datatype.fromNumbers(flat(tensor, rows, input, wrong))
    else {
      if (tensor.data !== undefined && tensor.data !== null) throw wrong('has both data and binary_data_size')
      const needed = count * datatype.size
      if (size !== needed) {
        const shape = `[${tensor.shape.join(', ')}] of ${tensor.datatype}`
        throw wrong(`has a binary_data_size of ${size} where shape ${shape} takes ${needed}`)
      }
      if (size > binary.length - offset)
        throw wrong(`has a binary_data_size of ${size}, but only ${binary.length - offset} bytes are left of the body`)
      values = datatype.fromBytes(copy(binary, offset, size))
      offset += size
    }
    if ('message' in values) {
      const { index, message } = values
      throw wrong(message, `[${Math.floor(index / input.width)}, ${index % input.width}]`)
    }
    tensors[input.name] = new NumberMatrix(rows, input.width, values)
  }
  if (offset < binary.length) {
    const message = `has ${binary.length - offset} bytes more than its JSON part and its tensors take`
    throw invalidRequest([{ path: '', message }])
  }
  return tensors
}

type Wrong = (message: string) => Error

function datatypeOf({ datatype: name }: InferInput, { role }: ModelInput, wrong: Wrong) {
  const known = Object.hasOwn(datatypes, name) ? datatypes[name as InferDatatype] : undefined
  if (known !== undefined && (known.integer || role === 'dense')) return known
  const taken = Object.entries(datatypes).filter(([, { integer }]) => integer || role === 'dense')
  const names = taken.map(([taken]) => taken).join(', ')
  throw wrong(`can't have the datatype ${JSON.stringify(name.slice(0, 64))}: it takes ${names}`)
}

/** [rows, …dims]; of one number a row, [rows] and [rows, 1] are the same. */
function rowsOf({ shape }: InferInput, { dims, width }: ModelInput, wrong: Wrong): number {
  const [rows, ...sides] = shape
  const fits = sides.length === dims.length && sides.every((side, i) => side === dims[i])
  const single = width === 1 && sides.every((side) => side === 1)
  if (rows !== undefined && rows > 0 && (fits || single)) return rows
  const given = `[${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`
  throw wrong(`must have the shape [${['rows', ...dims].join(', ')}] with at least one row, not ${given}`)
}

/** The tensor's data as one array, row-major; only its form is looked at, not its values. */
function flat({ data }: InferInput, rows: number, { dims, width }: ModelInput, wrong: Wrong): unknown[] {
  if (data === undefined || data === null) throw wrong('has neither data nor binary_data_size')
  if (!Array.isArray(data)) throw wrong('must have an array as data')
  if (!Array.isArray(data[0])) {
    if (data.length === rows * width) return data
    throw wrong(`has ${data.length} numbers where its shape takes ${rows * width}`)
  }
  if (data.length !== rows) throw wrong(`has ${data.length} rows where its shape takes ${rows}`)
  if (dims.length > 1) {
    const whole: unknown[] = data.flat(dims.length)
    if (whole.length !== rows * width) throw wrong(`has ${whole.length} numbers where its shape takes ${rows * width}`)
    return whole
  }
  const odd = data.findIndex((row) => !Array.isArray(row) || row.length !== width)
  if (odd >= 0) throw wrong(`has a row ${odd} that is no array of ${width} numbers`)
  return data.flat()
}

/** Bytes in a buffer of their own: any offset is aligned there, and it may be handed to another thread. */
function copy({ buffer, byteOffset }: Buffer, offset: number, size: number): ArrayBuffer {
  const start = byteOffset + offset
  return (buffer as ArrayBuffer).slice(start, start + size)
}

/** Problems of a query, whose places are those of `POST /predict`, in this protocol's terms. */
export function inTermsOf({ request }: InferBody, problems: Problem[]): Problem[] {
  return problems.map(({ path, message }) => {
    const [, part, name = '', ...place] = path.split('/')
    if (part === 'inputs' && name !== '') {
      const indices = place.length > 0 ? `[${place.join(', ')}]` : ''
      return { path: called('input', name.replaceAll('~1', '/').replaceAll('~0', '~')) + indices, message }
    }
    const output = part === 'tasks' ? request.outputs?.[Number(name)] : undefined
    return output ? { path: called('output', output.name), message } : { path, message }
  })
}

/** Puts a tensor's name in the place of its number, where it has one. */
function named(request: unknown): (problem: Problem) => Problem {
  return ({ path, message }) => {
    const [, part, index, ...place] = path.split('/')
    const tensors = part === 'inputs' || part === 'outputs' ? (request as Record<string, unknown>)[part] : undefined
    const name = Array.isArray(tensors) ? tensors[Number(index)]?.name : undefined
    if (typeof name !== 'string') return { path, message }
    return { path: [called(part === 'inputs' ? 'input' : 'output', name), ...place].join('/'), message }
  }
}

/** A tensor by its name, which may be long. */
function called(what: 'input' | 'output', name: string): string {
  return `${what} ${JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name)}`
}
