import { createHmac, randomBytes } from 'node:crypto'
import type { Features } from '../../schemas/features.ts'
import { isObject } from '../../schemas/json.ts'
import type { BodyMissing } from '../../schemas/requests.ts'

/** Bodies above this size are not kept, bytes. */
const largestBody = 65_536

/** Bodies with deeper arrays and objects are not kept: what writes them out later may use the stack. */
const deepest = 32

/** The secret of this process: equal values have equal hashes until it ends, and none can be looked up in a table. */
const secret = randomBytes(32)

/** Properties of a body, of a candidate and of a tensor that hold no values of fields. */
const envelope = ['model', 'version', 'label', 'tasks', 'options', 'signature_name']
const ofCandidate = ['id', 'bid']
const ofTensor = ['name', 'shape', 'datatype']

/** A request whose body is to be kept. */
export interface KeptRequest {
  /** Undefined where it named no model that is served. */
  features: Features | undefined
  /** It was valid: each of its values is in the place of a field. */
  valid: boolean
}

/** A body, or why it is missing. */
export interface KeptBody {
  body?: unknown
  /** Fields are missing from it, or hashes. */
  changed?: boolean
  missing?: BodyMissing
}

/**
 * Holds a body until it is read. Where a field is marked, values are removed now; else it is parsed when it is read,
 * which most bodies never are.
 */
export function holdBody(bytes: Buffer, request: KeptRequest): () => KeptBody {
  const isMarked = request.features?.some(({ log }) => log !== undefined) ?? true
  if (isMarked || bytes.length > largestBody) {
    const kept = redactBody(bytes, request)
    return () => kept
  }
  // A copy of its own: the bytes may be part of a larger piece of memory.
  const own = Buffer.from(bytes)
  return () => redactBody(own, request)
}

/**
 * A request's body as it may be kept: fields that the manifest marks `log: drop` are missing, of those marked `log:
 * hash` there are hashes. Where a field is marked, only bodies of valid requests are kept, and of them what is known to
 * be no value of a marked field: tensors of several fields are missing too.
 */
export function redactBody(bytes: Buffer, { features, valid }: KeptRequest): KeptBody {
  if (bytes.length === 0) return { missing: 'empty' }
  if (features === undefined) return { missing: 'no_fields' }
  if (bytes.length > largestBody) return { missing: 'too_large' }
  let body: unknown
  try {
    body = JSON.parse(bytes.toString())
  } catch {
    return { missing: 'not_json' }
  }
  if (isDeep(body)) return { missing: 'too_deep' }
  if (features.every(({ log }) => log === undefined)) return { body }
  if (!valid || !isObject(body)) return { missing: 'marked' }
  return { body: redact(body, new Map(features.map(({ name, log }) => [name, log]))), changed: true }
}

type Marks = ReadonlyMap<string, 'hash' | 'drop' | undefined>

function redact(body: Record<string, unknown>, marks: Marks): Record<string, unknown> {
  const { context, candidates, instances, inputs } = body
  const kept = pick(body, envelope)
  if (isObject(context)) kept.context = redactFields(context, marks)
  // Rows, or columns.
  if (Array.isArray(candidates)) kept.candidates = candidates.map((row) => redactCandidate(row, marks))
  else if (isObject(candidates)) kept.candidates = redactCandidate(candidates, marks)
  if (Array.isArray(instances))
    kept.instances = instances.filter(isObject).map((instance) => redactFields(instance, marks))
  if (isObject(inputs)) kept.inputs = redactFields(inputs, marks)
  else if (Array.isArray(inputs)) kept.inputs = inputs.filter(isObject).map((tensor) => redactTensor(tensor, marks))
  return kept
}

function redactCandidate(row: unknown, marks: Marks): Record<string, unknown> {
  return isObject(row) ? { ...pick(row, ofCandidate), ...redactFields(row, marks) } : {}
}

/** A tensor of the Open Inference Protocol: its values only if they are one field's, or a part of its lists. */
function redactTensor(tensor: Record<string, unknown>, marks: Marks): Record<string, unknown> {
  const { name, data } = tensor
  const [, field, part] = typeof name === 'string' && !marks.has(name) ? (listPart.exec(name) ?? []) : []
  const key = field ?? name
  const isOffsets = part === 'offsets' && typeof key === 'string' && marks.has(key) && marks.get(key) !== 'drop'
  const values = isOffsets ? data : typeof key === 'string' ? redactFields({ [key]: data }, marks)[key] : undefined
  return { ...pick(tensor, ofTensor), ...(values !== undefined && { data: values }) }
}

/** The name of a list, and of a part of it. */
const listPart = /^(.*)\.(offsets|weights)$/s

function redactFields(values: Record<string, unknown>, marks: Marks): Record<string, unknown> {
  const entries = Object.entries(values).flatMap(([name, value]) => {
    const mark = marks.get(name)
    if (!marks.has(name) || mark === 'drop') return []
    return [[name, mark === 'hash' ? hashed(value) : value] as const]
  })
  return Object.fromEntries(entries)
}

function hashed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hashed)
  if (value === null || value === undefined) return value
  // A weighted list, or a column of lists, whose offsets say nothing but how long they are.
  if (isObject(value) && Array.isArray(value.values)) {
    const { offsets, values, weights } = value
    return {
      values: hashed(values),
      ...(weights !== undefined && { weights: hashed(weights) }),
      ...(offsets !== undefined && { offsets }),
    }
  }
  return createHmac('sha256', secret).update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

function pick(values: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(values, name)).map((name) => [name, values[name]]))
}

/** Level by level, without recursion. */
function isDeep(value: unknown): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) return true
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return false
}
