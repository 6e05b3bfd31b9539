import type { Violation } from '../../../base/errors.ts'
import { shortName } from '../../../base/names.ts'
import { invalidRequest, maxViolations } from '../../../model/serving/features/problems.ts'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import { InferInput, InferRequest, InferRequestedOutput } from '../../../schemas/infer.ts'
import { isObject } from '../../../schemas/json.ts'
import { type JsonBounds, readJson } from '../../body/read-json.ts'
import { createChecker, helpfulProblems, itemProblems } from '../../plugins/validation.ts'

const schema = createChecker(InferRequest)
const inputSchema = createChecker(InferInput)
const outputSchema = createChecker(InferRequestedOutput)

/** The JSON part of a body, and the bytes of the tensors after it. */
export interface InferBody {
  request: InferRequest
  binary: Buffer
}

/**
 * Takes a body apart and checks its JSON part. `headerLength` is the header Inference-Header-Content-Length: bytes of
 * the JSON part; without it the whole body is JSON. Throws INVALID_REQUEST.
 */
export function readBody(body: Buffer, headerLength: string | undefined, bounds?: JsonBounds): InferBody {
  const length = headerLength === undefined ? body.length : jsonLength(headerLength, body.length)
  const request = readJson(body.subarray(0, length), bounds)
  if (!schema.Check(request)) throw invalidRequest(problemsOf(request).map(named(request)))
  repeated('input', request.inputs)
  repeated('output', request.outputs ?? [])
  refuseExtensions(request)
  return { request, binary: body.subarray(length) }
}

/** Problems of the JSON part, tensor by tensor, so that a million wrong ones cost no more than those reported. */
function problemsOf(request: unknown): Violation[] {
  if (!isObject(request)) return helpfulProblems(schema, request)
  const { id, parameters, inputs, outputs } = request
  // Their items come after.
  const around = { id, parameters, inputs: someOf(inputs), outputs: someOf(outputs) }
  for (const name of ['id', 'parameters', 'inputs', 'outputs'] as const)
    if (request[name] === undefined) delete around[name]
  const problems = [
    ...helpfulProblems(schema, around),
    ...(Array.isArray(inputs) ? itemProblems(inputSchema, inputs, '/inputs') : []),
    ...(Array.isArray(outputs) ? itemProblems(outputSchema, outputs, '/outputs') : []),
  ]
  return problems.slice(0, maxViolations)
}

/** An empty array for an array, so that its items are not checked; anything else unchanged. */
function someOf(tensors: unknown): unknown {
  return Array.isArray(tensors) && tensors.length > 0 ? [{ name: '', shape: [], datatype: '' }] : tensors
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

/** Parameters by which a client would mean or look for something else; all others may be passed over. */
const extensions = {
  request: ['sequence_id', 'sequence_start', 'sequence_end'],
  input: ['shared_memory_region'],
  output: ['classification', 'shared_memory_region'],
}

function refuseExtensions({ parameters, inputs, outputs }: InferRequest): void {
  const sequence = asks(parameters, extensions.request)
  if (sequence !== undefined)
    throw invalidRequest([{ path: `/parameters/${sequence}`, message: 'is not possible: each request stands alone' }])
  for (const { name, parameters } of inputs) {
    if (asks(parameters, extensions.input) !== undefined)
      throw invalidRequest([{ path: called('input', name), message: "can't be sent by shared memory" }])
  }
  for (const { name, parameters } of outputs ?? []) {
    const asked = asks(parameters, extensions.output)
    if (asked) throw invalidRequest([{ path: called('output', name), message: `can't be had by ${asked}` }])
  }
}

/** The first of these parameters that asks for something: clients also send what means nothing. */
function asks(parameters: object | null | undefined, names: string[]): string | undefined {
  const given = (parameters ?? {}) as Record<string, unknown>
  return names.find((name) => Object.hasOwn(given, name) && Boolean(given[name]))
}

/**
 * A problem of a query, whose places are those of `POST /predict`, in this protocol's terms. A place in a list is the
 * row and the position, whatever tensors the list came in.
 */
export function inTermsOf(rows: QueryRows): (problem: Violation) => Violation {
  return (problem) => inTermsOfTensors(problem, rows)
}

function inTermsOfTensors({ path, message }: Violation, query: QueryRows): Violation {
  const [, part, escaped = '', ...place] = path.split('/')
  if ((part !== 'inputs' && part !== 'context' && part !== 'candidates') || escaped === '') return { path, message }
  const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
  if (part === 'inputs') return { path: called('input', name) + indexed(place), message }
  // Only lists have places in the context: one of it holds for all rows.
  const rows = part === 'context' && place.length > 0 ? ['0', ...place] : byRow(place, name, query)
  const tensor = rows.find((segment) => segment === 'offsets' || segment === 'weights')
  const indices = rows.filter((segment) => segment !== tensor && segment !== 'values')
  return { path: called('input', tensor === undefined ? name : `${name}.${tensor}`) + indexed(indices), message }
}

/** The place of a value in a column of lists, `values/5`, as its row, `values`, and its position there. */
function byRow(place: readonly string[], name: string, rows: QueryRows): readonly string[] {
  const [what, index] = place
  if (rows.form !== 'columns' || index === undefined || (what !== 'values' && what !== 'weights')) return place
  const { offsets } = (rows.candidates as Record<string, { offsets: ArrayLike<number> }>)[name]!
  const row = Array.from(offsets).findLastIndex((offset) => offset <= Number(index))
  return [String(row), what, String(Number(index) - offsets[row]!)]
}

const indexed = (place: readonly string[]) => (place.length > 0 ? `[${place.join(', ')}]` : '')

/** Puts a tensor's name in the place of its number, where it has one. */
function named(request: unknown): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const [, part, index, ...place] = path.split('/')
    const tensors = part === 'inputs' || part === 'outputs' ? (request as Record<string, unknown>)[part] : undefined
    const name = Array.isArray(tensors) ? tensors[Number(index)]?.name : undefined
    if (typeof name !== 'string') return { path, message }
    return { path: [called(part === 'inputs' ? 'input' : 'output', name), ...place].join('/'), message }
  }
}

/** A tensor by its name, which may be long. */
export function called(what: 'input' | 'output', name: string): string {
  return `${what} ${JSON.stringify(shortName(name))}`
}

/** Some names, for a message. */
export function listed(names: readonly string[]): string {
  const most = 20
  const shown = names.slice(0, most).map((name) => JSON.stringify(name))
  return shown.join(', ') + (names.length > most ? ' …' : '')
}
