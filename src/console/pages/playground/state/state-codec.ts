import { concat } from '../../../../base/arrays.ts'
import { isObject } from '../../../../schemas/json.ts'
import { candidatesOf, type Form } from './form.ts'
import { type Field, isValue, type Value, type Values, valuesOf } from './model.ts'
import { mostCandidates } from './paste.ts'

/** The state that a link holds. */
export interface Shared {
  form: Form
  /** The measure that candidates are ranked by. */
  by?: string | undefined
  /** Key of the candidate that the reader chose; undefined: the best-ranked one. */
  chosen?: number | undefined
  /** The other model and version that it is compared with: `model/version`. */
  against?: string | undefined
  /** Tensors as JSON, for a model without fields. */
  inputs?: string | undefined
}

/** The longest state that is put into the address, characters: longer links are cut by mail and chat programs. */
export const longestState = 32_000

/** From this length on it is compressed, characters. */
const longPlain = 1000

/** The largest state that is unpacked, bytes: what others made must not fill the memory. */
const largestState = 16 << 20

/** For the address: base64url of JSON, compressed where it is long. The first letter says which. */
export async function encodeShared({ form, by, chosen, against, inputs }: Shared): Promise<string> {
  const names = [...new Set(form.candidates.flatMap(({ values }) => Object.keys(values)))]
  const place = form.candidates.findIndex(({ key }) => key === chosen)
  const json = JSON.stringify({
    c: form.context,
    n: names,
    r: form.candidates.map(({ values }) => names.map((name) => (Object.hasOwn(values, name) ? values[name] : null))),
    ...(form.moved.length > 0 ? { m: form.moved } : {}),
    ...(by === undefined ? {} : { b: by }),
    ...(place < 0 ? {} : { s: place }),
    ...(against === undefined ? {} : { a: against }),
    ...(inputs === undefined ? {} : { i: inputs }),
  })
  const bytes = new TextEncoder().encode(json)
  if (bytes.length < longPlain) return `j${toBase64Url(bytes)}`
  return `z${toBase64Url(await piped(bytes, new CompressionStream('deflate-raw')))}`
}

/** Rejects where it is not what `encodeShared` wrote. */
export async function decodeShared(text: string): Promise<Shared> {
  const bytes = fromBase64Url(text.slice(1))
  if (text[0] === 'j') return read(JSON.parse(utf8(bytes)))
  if (text[0] === 'z') return read(JSON.parse(utf8(await piped(bytes, new DecompressionStream('deflate-raw')))))
  throw new Error('the first letter is unknown')
}

/** A body of `POST /predict`, base64url of its JSON, as other pages link to this one. Throws where it is not. */
export function decodeBody(text: string): unknown {
  return JSON.parse(utf8(fromBase64Url(text)))
}

export function encodeBody(body: unknown): string {
  return toBase64Url(new TextEncoder().encode(JSON.stringify(body)))
}

/** Without the fields that a model does not have, which are listed. */
export function fitForm(form: Form, fields: readonly Field[]): { form: Form; leftOut: string[] } {
  const known = new Set(fields.map(({ name }) => name))
  const leftOut = new Set<string>()
  const pick = (values: Values, more: readonly string[]) =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) => {
        const keeps = known.has(name) || more.includes(name)
        if (!keeps) leftOut.add(name)
        return keeps
      }),
    )
  const context = pick(form.context, [])
  const candidates = form.candidates.map(({ key, values }) => ({ key, values: pick(values, ['id', 'bid']) }))
  return {
    form: { context, candidates, moved: form.moved.filter((name) => known.has(name)) },
    leftOut: [...leftOut],
  }
}

function read(value: unknown): Shared {
  if (!isObject(value)) throw new Error('it is no object')
  const { c, n, r, m = [], b, s, a, i } = value
  if (!isValues(c) || !isNames(n) || !isNames(m) || !Array.isArray(r)) throw new Error('a part is missing')
  if (!isOptionalText(b) || !isOptionalText(a) || !isOptionalText(i)) throw new Error('a part is no text')
  const candidates = candidatesOf(r.slice(0, mostCandidates).map((row) => rowOf(n, row)))
  const chosen = typeof s === 'number' ? candidates[s]?.key : undefined
  return { form: { context: c, candidates, moved: m }, by: b, chosen, against: a, inputs: i }
}

function rowOf(names: string[], row: unknown): Values {
  if (!Array.isArray(row) || row.length !== names.length) throw new Error('a row has another length')
  const values: (Value | null)[] = row
  if (!values.every((value) => value === null || isValue(value)))
    throw new Error('a value is neither a text, nor a number, nor a list of them')
  return valuesOf(names.map((name, i) => [name, values[i] ?? undefined]))
}

const isValues = (value: unknown): value is Values => isObject(value) && Object.values(value).every(isValue)
const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string')
const isOptionalText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string'

/** The bytes that a stream makes of others. Rejects where they are too many. */
async function piped(bytes: Uint8Array<ArrayBuffer>, through: CompressionStream | DecompressionStream) {
  const writer = through.writable.getWriter()
  // A stream that fails says so to its reader, too.
  writer.write(bytes).catch(() => undefined)
  writer.close().catch(() => undefined)
  const reader = through.readable.getReader()
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    length += value.length
    if (length > largestState) {
      reader.cancel().catch(() => undefined)
      throw new Error('it is too large')
    }
  }
  return concat(Uint8Array, parts)
}

const utf8 = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes)

function toBase64Url(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0))
}
