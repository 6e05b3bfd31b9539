import { createHmac, randomBytes } from 'node:crypto'
import type { Manifest } from '../../schemas/manifest.ts'

/** Bodies above this size are not kept, bytes. */
const largestBody = 65_536

/** Of this process: equal values have equal hashes until it ends, and none can be looked up in a table. */
const secret = randomBytes(32)

/** Properties whose lists hold no values of fields. */
const plain = new Set(['tasks', 'shape'])

/** Properties that hold encoded values of several fields. */
const encoded = new Set(['sparse', 'dense', 'b64'])

/**
 * A request's body as it may be kept: fields that the manifest marks `log: drop` are missing, of those marked `log: hash` there
 * are hashes. Where a field is marked, values without a field's name are missing too, such as tensors of several fields.
 *
 * Undefined for a body that is empty, too large, or not JSON.
 */
export function redactBody(bytes: Buffer, manifest: Pick<Manifest, 'features'> | undefined): unknown {
  // Without a model nothing is known of its fields.
  if (manifest === undefined || bytes.length === 0 || bytes.length > largestBody) return undefined
  let body: unknown
  try {
    body = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  const marks = new Map(manifest.features.flatMap(({ name, log }) => (log === undefined ? [] : [[name, log] as const])))
  if (marks.size === 0) return body
  const fields = new Set(manifest.features.map(({ name }) => name))
  return redact(body)

  function redact(value: unknown): unknown {
    if (Array.isArray(value)) return value.filter((item) => typeof item === 'object').map(redact)
    if (!isObject(value)) return value
    // A tensor of the Open Inference Protocol: of one field, or of several.
    if (typeof value.name === 'string' && 'data' in value) {
      const { data, ...rest } = value
      const kept = fields.has(value.name) ? keep(value.name, data) : undefined
      return kept === undefined ? rest : { ...rest, data: kept }
    }
    const entries = Object.entries(value).map(([name, inner]) => [name, keep(name, inner)] as const)
    return Object.fromEntries(entries.filter(([, kept]) => kept !== undefined))
  }

  function keep(name: string, value: unknown): unknown {
    const mark = marks.get(name)
    if (mark === 'drop') return undefined
    if (mark === 'hash') return hashed(value)
    if (fields.has(name) || plain.has(name)) return value
    return encoded.has(name) ? undefined : redact(value)
  }
}

function hashed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hashed)
  if (value === null) return null
  return createHmac('sha256', secret).update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
