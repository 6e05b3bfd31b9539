import { createUniform } from '../../base/hash.ts'
import { drawRow } from '../../model/serving/features/draw.ts'
import { type InputField, inputFields } from '../../model/serving/features/table.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { Features, Field } from '../../schemas/features.ts'
import type { TableKeys } from './table-keys.ts'

export interface PredictRequestsOptions {
  model: string
  features: Features
  /** Candidates per request. */
  candidates: number
  /** Share of the candidates that come from a small catalogue, and are therefore cached after a while. */
  cached: number
  /** Entities by whose keys requests name candidates and users, in place of the features that tables have. */
  keys?: readonly TableKeys[] | undefined
  /** Number of different requests. */
  distinct?: number
  seed: number
}

/** Complete requests to `POST /predict`, named columns as JSON. */
export interface PredictRequests {
  requests: Buffer[]
  /**
   * Prepares request `index` (counted on over all rounds) for being sent: its new candidates get values that no earlier
   * request had.
   */
  refresh(index: number): void
  /** Mean size with headers, bytes. */
  meanBytes: number
}

/** Candidates that recur: few enough for every cache. */
const catalogueSize = 1000
/** Different requests; their new candidates change in each round. */
const usualDistinct = 500
/** Digits of a value that change in each round. */
const changing = 4

/** Draws seeded requests: valid random values, each with its own context. */
export function createPredictRequests(options: PredictRequestsOptions): PredictRequests {
  const { features: all, keys = [], distinct = usualDistinct, seed } = options
  const random = createUniform(seed)
  const fetched = new Set(keys.flatMap(({ features }) => features))
  const features = all.filter(({ name }) => !fetched.has(name))
  const draw = drawsOf(all, fetched, keys, random)
  const catalogue = Array.from({ length: Math.max(catalogueSize, options.candidates) }, draw.candidate)
  const places: Place[][] = []
  const requests = Array.from({ length: distinct }, (_, i) => {
    const { head, body, offsets } = createRequest({ ...options, features }, draw, catalogue, random)
    places[i] = offsets.map((offset) => placeAt(body, offset, Buffer.byteLength(head)))
    return Buffer.concat([Buffer.from(head), body])
  })
  return {
    requests,
    refresh(index) {
      const request = index % distinct
      const round = Math.floor(index / distinct)
      for (const { digits, first } of places[request]!) write(requests[request]!, digits, first + round)
    },
    meanBytes: requests.reduce((sum, { length }) => sum + length, 0) / distinct,
  }
}

/** Where the last digits of a value are in a request, and what they were. */
interface Place {
  digits: number[]
  first: number
}

function placeAt(body: Buffer, [start, end]: [number, number], shift: number): Place {
  const digits: number[] = []
  for (let at = end - 1; at >= start && digits.length < changing; at--)
    if (body[at]! >= 48 && body[at]! <= 57) digits.unshift(at + shift)
  return { digits, first: Number(digits.map((at) => String.fromCharCode(body[at - shift]!)).join('')) }
}

function write(request: Buffer, digits: number[], value: number): void {
  let rest = value
  for (let i = digits.length - 1; i >= 0; i--) {
    request[digits[i]!] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

type Row = Record<string, FeatureValue>
type Draws = ReturnType<typeof drawsOf>

function drawsOf(features: Features, fetched: ReadonlySet<string>, keys: readonly TableKeys[], random: () => number) {
  const of = (side: Field['side']) => {
    const own = keys.filter((entity) => entity.side === side)
    return (): Row => ({
      ...Object.fromEntries(
        Object.entries(drawRow(features, random, (field) => field.side === side && !fetched.has(field.name))).map(
          ([name, value]) => [name, short(value)],
        ),
      ),
      ...Object.fromEntries(own.map(({ key, keys }) => [key, keys[Math.floor(random() * keys.length)]!])),
    })
  }
  return { context: of('context'), candidate: of('candidate'), cross: of('cross') }
}

/** With six digits at most, which keeps requests as small as those of clients. */
function short(value: FeatureValue): FeatureValue {
  if (Array.isArray(value)) return value.map((item) => short(item) as string | number)
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value
}

function createRequest(
  { model, features, candidates, cached, keys = [] }: PredictRequestsOptions,
  draw: Draws,
  catalogue: Row[],
  random: () => number,
) {
  const rows = Array.from({ length: candidates }, () => {
    const known = random() < cached
    const candidate = known ? catalogue[Math.floor(random() * catalogue.length)]! : draw.candidate()
    return { known, values: { ...candidate, ...draw.cross() } as Row }
  })
  const keyNames = keys.filter(({ side }) => side === 'candidate').map(({ key }) => key)
  const own = features.filter(({ side }) => side !== 'context').map(({ name }) => name)
  const names = [...new Set([...keyNames, ...own])]
  const changed = changingField(features.filter(({ name }) => !keyNames.includes(name)))
  const column = (name: string) => JSON.stringify(rows.map(({ values }) => values[name]))
  const columns = names
    .filter((name) => name !== changed?.name)
    .map((name) => `${JSON.stringify(name)}:${column(name)}`)
  let body = `${JSON.stringify({ model, context: draw.context() }).slice(0, -1)},"candidates":`
  const offsets: [number, number][] = []
  if (names.length === 0) body += JSON.stringify(rows.map(() => ({})))
  else {
    body += `{${columns.join(',')}`
    if (changed !== undefined) {
      let text = `${columns.length > 0 ? ',' : ''}${JSON.stringify(changed.name)}:[`
      const start = Buffer.byteLength(body)
      rows.forEach(({ known, values }, i) => {
        const given = values[changed.name]!
        const isList = Array.isArray(given)
        const [first, ...others] = isList ? given : [given as string | number]
        if (i > 0) text += ','
        if (known || first === undefined) {
          text += JSON.stringify(given)
          return
        }
        // The first value of a list changes.
        const value = changeable(first)
        if (isList) text += '['
        const at = start + Buffer.byteLength(text)
        offsets.push([at, at + mantissa(value)])
        text += value + others.map((other) => `,${JSON.stringify(other)}`).join('') + (isList ? ']' : '')
      })
      body += `${text}]`
    }
    body += '}'
  }
  const bytes = Buffer.from(`${body}}`)
  const lines = [
    'POST /predict HTTP/1.1',
    'host: localhost',
    'content-type: application/json',
    `content-length: ${bytes.length}`,
  ]
  return { head: `${lines.join('\r\n')}\r\n\r\n`, body: bytes, offsets }
}

/**
 * A field of the candidate whose last digits can change, a single value if there is one; undefined where every field
 * has a list of values.
 */
function changingField(features: Features): InputField | undefined {
  const own = inputFields(features).filter(({ side }) => side === 'candidate')
  const isSingle = (field: InputField) => field.kind !== 'vector' && field.list === undefined
  const kinds = ['numeric', 'hash', 'vector'] as const
  const find = (of: readonly InputField[]) => kinds.flatMap((kind) => of.filter((field) => field.kind === kind)).at(0)
  return find(own.filter(isSingle)) ?? find(own)
}

/** A value as JSON that keeps its length when its last digits change. */
function changeable(value: string | number): string {
  if (typeof value === 'number') return value.toPrecision(7)
  return JSON.stringify(value.replace(/\d+$/, (digits) => digits.padStart(9, '0')))
}

/** Length of a value without its exponent. */
function mantissa(text: string): number {
  const exponent = /^-?[\d.]+e/.exec(text)
  return exponent === null ? text.length : exponent[0].length - 1
}
