import { isUtf8 } from 'node:buffer'
import type { Violation } from '../../../base/errors.ts'
import { listNames, suggestNames } from '../../../base/names.ts'
import { checkRowCount } from '../../../model/serving/features/context.ts'
import { describeValue } from '../../../model/serving/features/field.ts'
import { invalidRequest, Violations } from '../../../model/serving/features/problems.ts'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import type { InputTensor } from '../../../model/serving/prediction/tensors.ts'
import { isObject, pointer } from '../../../schemas/json.ts'
import { ServingEnvelope } from '../../../schemas/serving.ts'
import type { RequestModel } from '../../body/body-format.ts'
import { type JsonBounds, readJson, suggestKeys } from '../../body/read-json.ts'
import { createChecker, helpfulProblems } from '../../plugins/validation.ts'
import { featuresSignature } from './serving-signatures.ts'

export interface ServingRows {
  rows: QueryRows
  /** A problem of these rows, in terms of the body that they came in. */
  inTermsOf(problem: Violation): Violation
}

/** The rows of a body for a model: named features, or tensors. Throws INVALID_REQUEST. */
export function servingRows(body: ServingBody, model: RequestModel): ServingRows {
  const { form, values, context } = body
  // Before anything is made for each of them.
  if (form === 'instances') checkRowCount((values as unknown[]).length, { maxRows: model.limits.maxRequestRows })
  const sample = form === 'instances' ? (values as unknown[])[0] : values
  const named = isObject(sample) && !isBase64(sample)
  if (takesFeatures(body, model, named ? sample : undefined)) return featureRows(body, model, named)
  const { inputs } = model.tensors
  if (context !== undefined)
    throw invalidRequest([{ path: '/context', message: 'is not possible: the model has no named features' }])
  if (!named && inputs.length > 1) {
    const path = form === 'instances' ? '/instances/0' : '/inputs'
    throw invalidRequest([{ path, message: `must be an object with ${namesOf(inputs)}, not ${describeValue(sample)}` }])
  }
  if (form === 'inputs') {
    const given = named ? sample : single(inputs[0]!.name, values)
    return { rows: { form: 'inputs', inputs: given }, inTermsOf: named ? unchanged : withoutName('inputs') }
  }
  const given = named ? byInput(inputs, values as unknown[]) : single(inputs[0]!.name, values)
  return { rows: { form: 'inputs', inputs: given }, inTermsOf: named ? byRow : withoutName('instances') }
}

/**
 * A model with a manifest takes both: by what stands in the first row, or as columns. A name of both a field and a
 * tensor is the field's, unless the request names the graph's own signature.
 */
function takesFeatures(
  { signature, context, values }: ServingBody,
  { manifestless, encoder, tensors }: RequestModel,
  sample: Record<string, unknown> | undefined,
): boolean {
  if (manifestless) return false
  if (signature === featuresSignature || context !== undefined) return true
  const { byName, slots, entities } = encoder.layout
  if (sample === undefined && entities?.candidate && isText(firstOf(values))) return true
  if (sample === undefined) {
    if (slots.length !== 1) return tensors.inputs.length !== 1
    // The first value of the only field, or the only tensor: ids and scaled numbers are no strings.
    return isText(firstOf(values)) || (slots[0]!.group !== undefined && hasText(values))
  }
  const names = new Set(tensors.inputs.map(({ name }) => name))
  let field = false
  let tensor = false
  let other = false
  for (const name in sample) {
    field ||= byName.has(name) || entities?.byKey.has(name) === true
    if (names.has(name)) tensor = true
    else other = true
    if (field && other) break
  }
  if (!tensor) return true
  return signature === undefined || other ? field : false
}

function featureRows(body: ServingBody, model: RequestModel, named: boolean): ServingRows {
  const { form, context, values } = body
  const { slots, entities } = model.encoder.layout
  const key = isText(firstOf(values)) ? entities?.candidate?.key : undefined
  const only = key ?? (slots.length === 1 ? slots[0]!.name : undefined)
  let candidates = values
  if (!named && only !== undefined) {
    candidates = form === 'instances' ? (values as unknown[]).map((value) => single(only, value)) : single(only, values)
  } else if (!named) {
    const path = form === 'instances' ? '/instances/0' : '/inputs'
    const sample = form === 'instances' ? (values as unknown[])[0] : values
    const message = `must be an object by the names of features, or of the tensors ${namesOf(model.tensors.inputs)}, not ${describeValue(sample)}`
    throw invalidRequest([{ path, message }])
  }
  const inTermsOf = ({ path, message }: Violation): Violation => {
    // Clients of the protocol know of no context: where there is none, a row would have what is missing.
    if (context === undefined && path.startsWith('/context/'))
      return { path: `/${form}${form === 'instances' ? '/0' : ''}${path.slice('/context'.length)}`, message }
    if (!path.startsWith('/candidates')) return { path, message }
    const [, , first, second, ...inside] = path.split('/')
    const place = only === undefined || named ? path.slice('/candidates'.length) : unnamed(form, first, second, inside)
    return { path: `/${form}${place}`, message }
  }
  if (body.base64) decodeAll(form, candidates, context, inTermsOf)
  return { rows: { form: form === 'instances' ? 'rows' : 'columns', context, candidates }, inTermsOf }
}

const firstOf = (values: unknown): unknown => (Array.isArray(values) ? values[0] : values)

const isText = (value: unknown): boolean => typeof value === 'string' || isBase64(value)

/** Whether the first list that has a value is one of strings. */
function hasText(lists: unknown): boolean {
  const [first] =
    (Array.isArray(lists) ? lists.find((list) => Array.isArray(list) && list.length > 0) : undefined) ?? []
  return isText(first)
}

/** A path to the only field, without its name: it is `/3/country` of rows and `/country/3` of columns. */
function unnamed(
  form: ServingBody['form'],
  first: string | undefined,
  second: string | undefined,
  inside: string[],
): string {
  const row = form === 'instances' ? first : second
  return row === undefined ? '' : ['', row, ...inside].join('/')
}

/** Puts strings in the place of their base64. */
function decodeAll(
  form: ServingBody['form'],
  candidates: unknown,
  context: unknown,
  inTermsOf: ServingRows['inTermsOf'],
): void {
  const problems = new Violations()
  const decodeIn = (holder: Record<string, unknown> | unknown[], key: string | number, place: () => string) => {
    const values = holder as Record<string | number, unknown>
    const value = values[key]
    if (!isBase64(value)) {
      decodeList(value, place)
      return
    }
    const decoded = decodeBase64(value)
    if (decoded === undefined) {
      const { path, message } = inTermsOf({ path: place(), message: 'must be base64 of UTF-8 text' })
      problems.add(path, message)
    } else values[key] = decoded
  }
  /** The values of a list, of a weighted one, or of a column of them. */
  const decodeList = (list: unknown, place: () => string) => {
    if (isObject(list) && Array.isArray(list.values)) decodeList(list.values, () => `${place()}/values`)
    if (!Array.isArray(list)) return
    for (let i = 0; i < list.length; i++) decodeIn(list, i, () => `${place()}/${i}`)
  }
  const decodeObject = (object: unknown, path: string) => {
    if (!isObject(object)) return
    for (const name in object) decodeIn(object, name, () => `${path}${pointer(name)}`)
  }
  decodeObject(context, '/context')
  if (form === 'instances')
    for (const [row, candidate] of (candidates as unknown[]).entries()) decodeObject(candidate, `/candidates/${row}`)
  else if (isObject(candidates)) {
    for (const name in candidates) decodeList(candidates[name], () => `/candidates${pointer(name)}`)
  }
  problems.throwIfAny()
}

/** Instances by input: of each an array [rows, …dims]. Inputs that follow from others stand in all rows or in none. */
function byInput(inputs: readonly InputTensor[], instances: unknown[]): Record<string, unknown[]> {
  const problems = new Violations()
  const places = new Map(inputs.map(({ name }, place) => [name, place]))
  const columns = inputs.map(() => new Array<unknown>(instances.length))
  const [first] = instances
  const isLeftOut = ({ name, derived }: InputTensor) =>
    derived !== undefined && isObject(first) && !Object.hasOwn(first, name)
  const leftOut = inputs.filter(isLeftOut)
  for (let row = 0; row < instances.length; row++) {
    const instance = instances[row]
    if (!isObject(instance)) {
      problems.add(`/instances/${row}`, `must be an object with ${namesOf(inputs)}, not ${describeValue(instance)}`)
      continue
    }
    let given = 0
    for (const name in instance) {
      const place = places.get(name)
      if (place === undefined)
        problems.add(`/instances/${row}${pointer(name)}`, () => `is no input of this model${suggest(name, inputs)}`)
      else {
        columns[place]![row] = instance[name]
        given++
      }
    }
    if (leftOut.length === 0 && given === inputs.length) continue
    for (const input of inputs) {
      const { name, dims } = input
      if (Object.hasOwn(instance, name) !== leftOut.includes(input)) continue
      const message = leftOut.includes(input)
        ? 'is given here, but not in the first row'
        : `is required: ${dims.length === 0 ? 'a number' : `[${dims.join(', ')}]`}`
      problems.add(`/instances/${row}${pointer(name)}`, message)
    }
  }
  problems.throwIfAny()
  const given = Object.create(null) as Record<string, unknown[]>
  for (const [place, input] of inputs.entries()) if (!leftOut.includes(input)) given[input.name] = columns[place]!
  return given
}

/** `/inputs/ids/3/7` of tensors gathered from rows. */
function byRow({ path, message }: Violation): Violation {
  const [, part, name, row, ...place] = path.split('/')
  if (part !== 'inputs' || row === undefined) return { path, message }
  return { path: ['', 'instances', row, name, ...place].join('/'), message }
}

/** `/inputs/ids/3/7` of the only tensor, whose name the body doesn't have. */
function withoutName(form: ServingBody['form']): ServingRows['inTermsOf'] {
  return ({ path, message }) => {
    const [, part, , ...place] = path.split('/')
    return part === 'inputs' ? { path: ['', form, ...place].join('/'), message } : { path, message }
  }
}

function unchanged(problem: Violation): Violation {
  return problem
}

function single(name: string, value: unknown): Record<string, unknown> {
  const object = Object.create(null) as Record<string, unknown>
  object[name] = value
  return object
}

function namesOf(inputs: readonly InputTensor[]): string {
  return listNames(inputs.map(({ name }) => name))
}

function suggest(wrong: string, inputs: readonly InputTensor[]): string {
  return suggestNames(
    wrong,
    inputs.map(({ name }) => name),
  )
}

const schema = createChecker(ServingEnvelope)

/** A body whose form is known, but not yet its model. */
export interface ServingBody {
  form: 'instances' | 'inputs'
  /** The value under that key. */
  values: unknown
  context: unknown
  signature: string | undefined
  /** It may hold strings as base64. */
  base64: boolean
}

/** Reads a body, and checks what stands around its values. Throws INVALID_REQUEST. */
export function readServingBody(bytes: Buffer, bounds?: JsonBounds): ServingBody {
  const body = readJson(bytes, bounds)
  if (!schema.Check(body)) throw invalidRequest(helpfulProblems(schema, body).map(suggestKeys(ServingEnvelope)))
  const { instances, inputs, context, signature_name: signature } = body
  if (instances !== undefined && inputs !== undefined)
    throw invalidRequest([{ path: '/inputs', message: 'is given beside instances: only one form is possible' }])
  if (instances === undefined && inputs === undefined)
    throw invalidRequest([{ path: '', message: 'must have instances (rows) or inputs (columns)' }])
  const form = instances === undefined ? 'inputs' : 'instances'
  if (form === 'instances' && (!Array.isArray(instances) || instances.length === 0)) {
    const given = Array.isArray(instances) ? 'an empty one' : describeValue(instances)
    throw invalidRequest([{ path: '/instances', message: `must be an array of at least one row, not ${given}` }])
  }
  // The key may be written with escapes.
  const base64 = bytes.includes('"b64"') || bytes.includes('\\u')
  return { form, values: instances ?? inputs, context, signature: signature || undefined, base64 }
}

/** Whether a JSON value is `{"b64": …}`, as TensorFlow Serving writes strings of any bytes. */
export function isBase64(value: unknown): value is { b64: unknown } {
  if (!isObject(value) || !Object.hasOwn(value, 'b64')) return false
  for (const key in value) if (key !== 'b64') return false
  return true
}

/** The string that is meant, or undefined where it is no base64 (padded or not) of UTF-8 text. */
export function decodeBase64({ b64 }: { b64: unknown }): string | undefined {
  if (typeof b64 !== 'string') return undefined
  const bytes = Buffer.from(b64, 'base64')
  // Node passes over what it doesn't know.
  const whole = bytes.toString('base64')
  if (b64 !== whole && b64 !== whole.replace(/=+$/, '')) return undefined
  return isUtf8(bytes) ? bytes.toString() : undefined
}
