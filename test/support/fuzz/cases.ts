import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { createRandom, type Random } from '../../../src/tools/data/random.ts'
import { type Kind, type Payload, type RouteName, wrongKinds } from './payloads.ts'

/*
 * The grammar of the fuzz test's cases: a route, what is sent to it, its size, coding and damage, how it is framed, how
 * often it is asked, and where the connection is cut. Each case is drawn from a seed and its number alone.
 */

/** As the server under test is configured. */
export const maxBody = 4 * 2 ** 20
const small = 2 ** 16
const smallInflated = 2 ** 18
const maxRatio = 100
const maxRows = 10_000

const routes: Record<RouteName, { limit: number; lines: string[] }> = {
  predict: { limit: maxBody, lines: ['POST /predict'] },
  v1: {
    limit: maxBody,
    lines: ['POST /v1/models/ads-funnel:predict', 'POST /v1/models/ads-funnel/versions/1:predict'],
  },
  v2: { limit: maxBody, lines: ['POST /v2/models/ads-funnel/infer', 'POST /v2/models/ads-funnel/versions/1/infer'] },
  index: { limit: small, lines: ['POST /v2/repository/index'] },
  load: { limit: small, lines: ['POST /v2/repository/models/ads-funnel/load'] },
  unknown: { limit: maxBody, lines: ['POST /nothing', 'PUT /v2/nothing', 'POST /v1/nothing', 'DELETE /'] },
  get: {
    limit: maxBody,
    lines: ['GET /metrics', 'GET /readyz', 'GET /models', 'GET /docs/json', 'GET /v2/models/stats'],
  },
}

export const dimensions = {
  route: Object.keys(routes) as RouteName[],
  coding: ['plain', 'gzip', 'deflate', 'br'] as const,
  cut: ['none', 'fin', 'rst'] as const,
}

const bomb = 128 * 2 ** 20

/** Sizes of bodies before their coding, and how often each is drawn. */
const sizes: [size: number, weight: number][] = [
  [0, 2],
  [500, 4],
  [small - 100, 3],
  [small + 100, 3],
  [smallInflated - 100, 2],
  [smallInflated + 100, 2],
  [2 ** 20, 2],
  [maxBody - 1000, 2],
  [maxBody + 100, 2],
  [2 * maxBody, 1],
]

const damages = { none: 6, truncated: 2, flipped: 2, trailing: 1, members: 1 }
const framings = { length: 7, chunked: 3, open: 1, longer: 1, shorter: 1 }
const asks = { once: 8, five: 2, unread: 1 }

/** Number of requests; if answers aren't read, fewer than may wait, and more than may be under way. */
const requests = { once: 1, five: 5, unread: 90 }
const wrongLabels = ['identity', 'gzip', 'deflate', 'br', 'zstd', 'gzip, br', 'x'.repeat(1000), '']

export interface Choice {
  route: RouteName
  line: number
  kind: string
  size: number
  coding: (typeof dimensions.coding)[number]
  cut: (typeof dimensions.cut)[number]
  damage: keyof typeof damages
  framing: keyof typeof framings
  ask: keyof typeof asks
  /** Content-Encoding, where it isn't the body's. */
  label: string | undefined
  /** Bytes after which the connection is cut, as a part of all. */
  at: number
  /** Packets that it is sent in. */
  pieces: number
}

/** A case that can be sent. */
export interface Case extends Choice {
  name: string
  wire: Buffer
  /** Requests in it; after those that are complete comes one more, that is right. */
  asked: number
  /** It ends with a request after which the server closes the connection. */
  complete: boolean
  statuses: number[]
  refusal: RegExp | undefined
  /** Bytes that the server may have to hold of its body. */
  inflated: number
}

export type GoodKinds = Record<RouteName, Record<string, Kind>>

/** Names of what can be sent to a route. */
export function kindsOf(route: RouteName, good: GoodKinds): string[] {
  return [...Object.keys(good[route]), ...Object.keys(wrongKinds[route])]
}

function builderOf(route: RouteName, kind: string, good: GoodKinds): Kind {
  const kinds: Record<string, Kind> = { ...wrongKinds[route], ...good[route] }
  return kinds[kind]!
}

/** Case `index` of a seed; what `fixed` says is not drawn. Each of its requests has these headers, too. */
export function drawCase(
  seed: number,
  index: number,
  fixed: Partial<Choice>,
  good: GoodKinds,
  headers: readonly string[] = [],
): Case {
  const random = createRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const choice = { ...drawChoice(random, fixed, good), ...fixed }
  if (choice.ask === 'unread') Object.assign(choice, unread(choice))
  return buildCase(`case ${index} of seed ${seed}`, choice, random, good, headers)
}

function pick<T>(all: readonly T[], random: Random): T {
  return all[random.integer(all.length)]!
}

function weighted<T extends string>(weights: Record<T, number>, random: Random): T {
  return pick(
    (Object.keys(weights) as T[]).flatMap((name) => Array<T>(weights[name]).fill(name)),
    random,
  )
}

function drawChoice(random: Random, { route: asked }: Partial<Choice>, good: GoodKinds): Choice {
  const route = asked ?? pick(dimensions.route, random)
  const size = pick(
    sizes.flatMap(([size, weight]) => Array<number>(weight).fill(size)),
    random,
  )
  return {
    route,
    line: random.integer(routes[route].lines.length),
    kind: pick(random.integer(3) === 0 ? Object.keys(good[route]) : kindsOf(route, good), random),
    size: size + random.integer(64),
    coding: pick(dimensions.coding, random),
    cut: pick(dimensions.cut, random),
    damage: weighted(damages, random),
    framing: weighted(framings, random),
    ask: weighted(asks, random),
    label: random.integer(10) === 0 ? pick(wrongLabels, random) : undefined,
    at: random.integer(3) === 0 ? 1 : random.uniform(),
    pieces: 1 + random.integer(4),
  }
}

/** Answers that pile up: to what is right, and small enough for many to be sent at once. */
function unread({ route, kind, size }: Choice): Partial<Choice> {
  const right = { size: Math.min(size, 2 ** 14), damage: 'none', framing: 'length', at: 1 } as const
  if (route !== 'get') return { ...right, kind: 'good', label: undefined }
  // A decoder that fails while its answer waits to be read.
  if (kind === 'noise') return { ...right, size: 50, kind, label: 'gzip' }
  return { ...right, kind: 'empty', label: undefined }
}

const encoders: Record<Choice['coding'], (bytes: Buffer) => Buffer> = {
  plain: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes, { level: 1 }),
  deflate: (bytes) => deflateSync(bytes, { level: 1 }),
  // The same window as gzip's: what its decoder looks back at is no larger.
  br: (bytes) => brotli(bytes, 2, 15),
}

const bombs = new Map<string, Buffer>()

/**
 * Bodies that are a thousand times smaller than what they inflate to, each made once; the decoder of a `wide bomb`
 * allocates 16 MiB.
 */
function bombOf(kind: string, coding: Choice['coding']): Buffer {
  const name = `${kind} ${coding}`
  const spaces = () => Buffer.alloc(bomb, ' ')
  const bytes =
    bombs.get(name) ??
    (kind === 'wide bomb' ? brotli(spaces(), 5, 24) : encoders[coding === 'plain' ? 'gzip' : coding](spaces()))
  bombs.set(name, bytes)
  return bytes
}

function brotli(bytes: Buffer, quality: number, window: number): Buffer {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN } = constants
  return brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: quality, [BROTLI_PARAM_LGWIN]: window } })
}

function buildCase(name: string, choice: Choice, random: Random, good: GoodKinds, headers: readonly string[]): Case {
  const { route, kind, size, coding, cut, damage, framing, ask } = choice
  const isBomb = kind === 'bomb' || kind === 'wide bomb'
  const payload: Payload = isBomb
    ? { bytes: Buffer.alloc(0), headers: [], verdict: 'wrong' }
    : builderOf(route, kind, good)(size, random)
  const whole = isBomb ? bombOf(kind, coding) : encode(payload.bytes, choice)
  const body = damaged(whole, damage, random)
  const inflated = isBomb ? bomb : payload.bytes.length
  const complete = cut === 'none' && ask !== 'unread' && (framing === 'length' || framing === 'chunked')
  const asked = requests[ask]
  const request = frame(choice, payload.line, body, [...headers, ...payload.headers], random)
  const last = complete ? 'GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n' : ''
  const exact = (damage === 'none' || damage === 'members') && choice.label === undefined && complete
  const bounds = { encoded: body.length, inflated, coding: isBomb && coding === 'plain' ? 'gzip' : coding }
  const statuses = exact ? expected(route, payload, bounds) : [200, 400, 404, 405, 413, 415]
  return {
    ...choice,
    name: `${name}: ${JSON.stringify(choice)}`,
    wire: Buffer.concat([...Array<Buffer>(asked).fill(request), Buffer.from(last)]),
    asked,
    complete,
    statuses,
    refusal: exact && statuses.includes(400) ? payload.refusal : undefined,
    inflated: Math.max(inflated, body.length),
  }
}

function encode(bytes: Buffer, { coding, damage }: Choice): Buffer {
  if (damage !== 'members' || coding !== 'gzip') return encoders[coding](bytes)
  const third = Math.floor(bytes.length / 3)
  const parts = [bytes.subarray(0, third), bytes.subarray(third, 2 * third), bytes.subarray(2 * third)]
  return Buffer.concat(parts.map(encoders.gzip))
}

function damaged(bytes: Buffer, damage: Choice['damage'], random: Random): Buffer {
  if (damage === 'truncated') return bytes.subarray(0, Math.max(0, bytes.length - 1 - random.integer(40)))
  if (damage === 'trailing') return Buffer.concat([bytes, bytes.subarray(0, 1 + random.integer(100))])
  if (damage !== 'flipped') return bytes
  const copy = Buffer.from(bytes)
  for (let i = 0; i < 3 && copy.length > 0; i++) copy[random.integer(copy.length)] = random.integer(256)
  return copy
}

/** Answers that a whole request may get. */
function expected(
  route: RouteName,
  { verdict, refusal }: Payload,
  { encoded, inflated, coding }: { encoded: number; inflated: number; coding: string },
): number[] {
  if (route === 'unknown') return [404, 405]
  if (route === 'get') return [200]
  const { limit } = routes[route]
  const ratio = coding === 'plain' || inflated <= smallInflated ? 0 : inflated / encoded
  if (encoded > limit || inflated > limit || ratio > maxRatio) return [413]
  // The first part of a body may be denser than all of it; and the same status refuses more rows than may be.
  const maybe =
    ratio > maxRatio / 4 || (verdict === 'wrong' && refusal === undefined && inflated > maxRows) ? [413] : []
  return [...(verdict === 'wrong' ? [] : [200]), ...(verdict === 'good' ? [] : [400]), ...maybe]
}

/** A request as it goes over the wire. */
function frame(
  choice: Choice,
  line: string | undefined,
  body: Buffer,
  headers: readonly string[],
  random: Random,
): Buffer {
  const { route, framing, coding, kind } = choice
  const label = choice.label ?? (coding === 'plain' ? (kind === 'bomb' ? 'gzip' : undefined) : coding)
  const { lines } = routes[route]
  const lie = 1 + random.integer(1000)
  const length = { length: body.length, longer: body.length + lie, shorter: Math.max(0, body.length - lie) }
  const head = [
    `${line ?? lines[choice.line % lines.length]} HTTP/1.1`,
    'host: a',
    'content-type: application/json',
    'x-deadline-ms: 600000',
    ...headers,
    ...(label === undefined ? [] : [`content-encoding: ${label}`]),
    framing === 'chunked' || framing === 'open' ? 'transfer-encoding: chunked' : `content-length: ${length[framing]}`,
    '',
    '',
  ].join('\r\n')
  if (framing !== 'chunked' && framing !== 'open') return Buffer.concat([Buffer.from(head), body])
  return Buffer.concat([Buffer.from(head), ...chunks(body, random), Buffer.from(framing === 'open' ? '' : '0\r\n\r\n')])
}

function chunks(body: Buffer, random: Random): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random.integer(Math.max(10, body.length)))
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'))
    at += size
  }
  return parts
}
