import type { Random } from '../../../src/tools/data/random.ts'

/*
 * The bodies that the fuzz test sends, before any content coding: for each route by name, each of about the size that
 * is asked for.
 */

export interface Payload {
  bytes: Buffer
  /** Headers of the request that belong to it. */
  headers: string[]
  /** Whether the route must answer it, refuse it, or may do either. */
  verdict: 'good' | 'wrong' | 'either'
  /** The request line, where it isn't one of its route's. */
  line?: string
  /** Text that the refusal must have. */
  refusal?: RegExp
}

export type Kind = (size: number, random: Random) => Payload

/** A fast stream of numbers below 2^16, for whole bodies. */
export function createStream(random: Random): () => number {
  let state = random.integer(2 ** 31)
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state >>> 16
  }
}

/** Bytes that no coding makes smaller. */
export function noise(size: number, random: Random): Buffer {
  const next = createStream(random)
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = next() & 255
  return bytes
}

/** White space that codings make four times smaller, not hundreds of times. */
export function space(size: number, random: Random): Buffer {
  const bytes = noise(Math.max(0, size), random)
  for (let i = 0; i < bytes.length; i++) bytes[i] = spaces[bytes[i]! & 3]!
  return bytes
}

const spaces = Buffer.from(' \t\r\n')
const separators = [',', ', ', ',\n', ' ,']

/** More than decoders look back: what is repeated at this distance isn't recognised. */
const blockSize = 1 << 16

/** `before`, the same item again and again, `after`: dense as can be, or with white space that makes it less so. */
export function list(before: string, item: string, after: string, size: number, random: Random) {
  const room = Math.max(0, size - before.length - after.length - item.length)
  const loose = random.uniform() < 0.5
  const next = createStream(random)
  let block = ''
  const ends: number[] = []
  while (block.length < blockSize) {
    block += item + (loose ? separators[next() & 3] : ',')
    ends.push(block.length)
  }
  const whole = Math.floor(room / block.length)
  const rest = ends.filter((end) => end <= room % block.length)
  const bytes = Buffer.concat([
    Buffer.from(before),
    Buffer.alloc(whole * block.length, block),
    Buffer.from(block.slice(0, rest.at(-1) ?? 0) + item + after),
  ])
  return { bytes, items: whole * ends.length + rest.length + 1 }
}

/** More arrays and objects than any body may have, and far fewer. */
const tooManyContainers = 200_000
const tooManyValues = 2_000_000

/** A list whose every item is wrong. */
function items(before: string, item: string, after: string): Kind {
  const container = /^[[{]/.test(item)
  return (size, random) => {
    const { bytes, items } = list(before, item, after, size, random)
    const bounded = items > (container ? tooManyContainers : tooManyValues)
    return { ...wrong(bytes), ...(bounded && { refusal: /must be JSON with at most \d+/ }) }
  }
}

function wrong(bytes: Buffer | string, ...headers: string[]): Payload {
  return { bytes: Buffer.from(bytes), headers, verdict: 'wrong' }
}

/** An object of as many different names. */
function names(before: string, value: string, after: string): Kind {
  return (size) => {
    const all: string[] = []
    for (let length = before.length + after.length, i = 0; length < size; i++) {
      const one = `"n${i}":${value}`
      all.push(one)
      length += one.length + 1
    }
    const bounded = all.length > 21_000 && size > 1 << 18
    const payload = wrong(`${before}${all.join(',')}${after}`)
    return bounded ? { ...payload, refusal: /must be JSON with at most \d+/ } : payload
  }
}

/** Brackets in each other. */
function nested(open: string, close: string, before = '', after = ''): Kind {
  return (size) => {
    const depth = Math.max(1, Math.floor((size - before.length - after.length) / (open.length + close.length)))
    return wrong(before + open.repeat(depth) + close.repeat(depth) + after)
  }
}

/** Bodies that no route takes, whatever it is for. */
const anywhere: Record<string, Kind> = {
  spaces: (size) => wrong(Buffer.alloc(Math.max(1, size), ' ')),
  zeros: (size) => wrong(Buffer.alloc(Math.max(1, size))),
  'loose spaces': (size, random) => wrong(space(Math.max(1, size), random)),
  noise: (size, random) => wrong(noise(Math.max(1, size), random)),
  'no end of a text': (size) => wrong(`"${'\\"'.repeat(size >> 1)}`),
  'a text': (size, random) => wrong(`"${noise(size * 0.75, random).toString('base64')}"`),
  'no UTF-8': (size) => wrong(Buffer.concat([Buffer.from('{"\xff":"', 'latin1'), Buffer.alloc(size, 0xff)])),
  'deep arrays': nested('[', ']'),
  'deep objects': nested('{"a":', '}', '', ''),
  'an array of {}': items('[', '{}', ']'),
  'an array of []': items('[', '[]', ']'),
  'an array of 0': items('[', '0', ']'),
  'many names in items': (size, random) => {
    const { bytes } = list('[', '{"a":0,"b":{"c":[]}}', ']', size, random)
    return wrong(bytes)
  },
}

const predict: Record<string, Kind> = {
  'candidates of {}': items('{"candidates":[', '{}', ']}'),
  'candidates of []': items('{"candidates":[', '[]', ']}'),
  'candidates of 0': items('{"candidates":[', '0', ']}'),
  'candidates by column': items('{"candidates":{"country":[', '{}', ']}}'),
  'candidates with many names': names('{"candidates":[{', '0', '}]}'),
  'sparse of [0]': items('{"inputs":{"sparse":[', '[0]', '],"dense":[]}}'),
  'sparse of []': items('{"inputs":{"sparse":[', '[]', '],"dense":[[]]}}'),
  'dense of numbers': items('{"inputs":{"sparse":[[1]],"dense":[', '1e308', ']}}'),
  tasks: items('{"candidates":[],"tasks":[', '"ctr"', ']}'),
  'tasks of {}': items('{"candidates":[],"tasks":[', '{}', ']}'),
  'unknown options': names('{"candidates":[],"options":{', '0', '}}'),
  'unknown context': names('{"candidates":[{}],"context":{', '[]', '}}'),
  'unknown names': names('{', '0', '}'),
  'deep candidates': nested('[', ']', '{"candidates":', '}'),
}

const v1: Record<string, Kind> = {
  'instances of {}': items('{"instances":[', '{}', ']}'),
  'instances of []': items('{"instances":[', '[]', ']}'),
  'instances of null': items('{"instances":[', 'null', ']}'),
  'instances of b64': items('{"instances":[', '{"country":{"b64":"?"}}', ']}'),
  'inputs of {}': items('{"inputs":{"country":[', '{}', ']}}'),
  'inputs of many names': names('{"inputs":{', '[0]', '}}'),
  'unknown names': names('{"instances":[{}],', '0', '}'),
  'deep instances': nested('[', ']', '{"instances":', '}'),
  'a long signature': (size) => wrong(`{"instances":[{}],"signature_name":"${'x'.repeat(size)}"}`),
}

const v2: Record<string, Kind> = {
  'inputs of {}': items('{"inputs":[', '{}', ']}'),
  'inputs of 0': items('{"inputs":[', '0', ']}'),
  'outputs of 0': items('{"inputs":[{"name":"sparse","shape":[1],"datatype":"INT32"}],"outputs":[', '0', ']}'),
  'outputs of {}': items('{"inputs":[],"outputs":[', '{}', ']}'),
  'outputs of a name': items('{"inputs":[{"name":"a","shape":[1],"datatype":"X"}],"outputs":[', '{"name":"ctr"}', ']}'),
  'shape of -1': items('{"inputs":[{"name":"sparse","datatype":"INT32","shape":[', '-1', ']}]}'),
  'shape of 1': items('{"inputs":[{"name":"sparse","datatype":"INT32","shape":[', '1', '],"data":[]}]}'),
  'data of {}': items('{"inputs":[{"name":"sparse","datatype":"INT32","shape":[1,10],"data":[', '{}', ']}]}'),
  'data of 0.5': items('{"inputs":[{"name":"sparse","datatype":"INT32","shape":[1,10],"data":[', '0.5', ']}]}'),
  'deep data': nested('[', ']', '{"inputs":[{"name":"dense","datatype":"FP32","shape":[1,5],"data":', '}]}'),
  'unknown parameters': names('{"inputs":[],"parameters":{', '0', '}}'),
}

const repository: Record<string, Kind> = {
  'unknown parameters': (size, random) => ({
    ...names('{"parameters":{', '0', '}}')(size, random),
    verdict: 'either',
  }),
  'ready of {}': items('{"ready":[', '{}', '],"parameters":[]}'),
}

/** Wrong bodies by route. */
export const wrongKinds = {
  predict: { ...anywhere, ...predict },
  v1: { ...anywhere, ...v1 },
  v2: { ...anywhere, ...v2 },
  index: { ...anywhere, ...repository },
  load: { ...anywhere, ...repository },
  unknown: { ...anywhere, ...predict },
  get: { ...anywhere, ...predict },
} satisfies Record<string, Record<string, Kind>>

export type RouteName = keyof typeof wrongKinds
