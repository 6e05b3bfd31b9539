import { idRows, numberRows } from '../../../src/server/request/route-docs.ts'
import type { Random } from '../../../src/tools/data/random.ts'
import { listKinds } from './list-payloads.ts'
import { type Kind, noise, type Payload, type RouteName, space } from './payloads.ts'

/*
 * Bodies that a route must answer, and binary tensors whose lengths lie. Both are filled up with white space, or with
 * bytes.
 */

/** More would only be more to compute. */
const mostRows = 500

/** As many rows as fit, at least one. */
function rowsFor(size: number, bytesOfOne: number): number {
  return Math.max(1, Math.min(mostRows, Math.floor((size * 0.8) / bytesOfOne)))
}

/** JSON of that size, where it isn't larger. */
function padded(json: string, size: number, random: Random): Buffer {
  return Buffer.concat([Buffer.from(json.slice(0, 1)), space(size - json.length, random), Buffer.from(json.slice(1))])
}

function good(bytes: Buffer, ...headers: string[]): Payload {
  return { bytes, headers, verdict: 'good' }
}

/** The header that says where a JSON part ends. */
const jsonLength = (length: number | string) => `inference-header-content-length: ${length}`

/** Tensors in binary: their JSON part, and their bytes. */
function binaryParts(rows: number) {
  const sparse = new Int32Array(Array.from({ length: rows }, (_, row) => idRows[row % 2]!).flat())
  const dense = new Float32Array(Array.from({ length: rows }, (_, row) => numberRows[row % 2]!).flat())
  const tensor = (name: string, datatype: string, { byteLength, length }: Int32Array | Float32Array) => ({
    name,
    datatype,
    shape: [rows, length / rows],
    parameters: { binary_data_size: byteLength },
  })
  const inputs = [tensor('sparse', 'INT32', sparse), tensor('dense', 'FP32', dense)]
  return { inputs, bytes: Buffer.concat([Buffer.from(sparse.buffer), Buffer.from(dense.buffer)]) }
}

/** Changes what a binary request says of its lengths, so that it can't be true. */
const lies: Record<string, (inputs: ReturnType<typeof binaryParts>['inputs']) => void> = {
  'a size too large': ([first]) => (first!.parameters.binary_data_size += 4),
  'a size too small': ([, second]) => (second!.parameters.binary_data_size -= 1),
  'a size beyond all': ([first]) => (first!.parameters.binary_data_size = Number.MAX_SAFE_INTEGER),
  'a negative size': ([first]) => (first!.parameters.binary_data_size = -1),
  'no rows': ([first, second]) => (first!.shape[0] = second!.shape[0] = 0),
  'billions of rows': ([first, second]) => (first!.shape[0] = second!.shape[0] = 2 ** 31),
  'rows beyond all': ([first]) => (first!.shape[0] = Number.MAX_SAFE_INTEGER),
  'a wider datatype': ([first]) => (first!.datatype = 'INT64'),
}

/** Lengths of JSON parts that aren't. */
const headerLies = ['-1', '0', '1', '1e3', 'many', '', '999999999999999', '9'.repeat(30)]

const lying: Kind = (size, random) => {
  const { inputs, bytes } = binaryParts(rowsFor(size, 60))
  const names = Object.keys(lies)
  const which = random.integer(names.length + headerLies.length)
  if (which < names.length) lies[names[which]!]!(inputs)
  const json = padded(JSON.stringify({ inputs }), size - bytes.length, random)
  const said = which < names.length ? json.length : headerLies[which - names.length]!
  return { bytes: Buffer.concat([json, bytes]), headers: [jsonLength(said)], verdict: 'wrong' }
}

/** Strings whose lengths before them lie. */
const lyingStrings: Kind = (size, random) => {
  const bytes = noise(Math.max(8, size), random)
  const lengths = [0xffffffff, 0x7fffffff, bytes.length, 2 ** 24]
  bytes.writeUInt32LE(lengths[random.integer(lengths.length)]!)
  const parameters = { binary_data_size: bytes.length }
  const json = JSON.stringify({ inputs: [{ name: 'country', datatype: 'BYTES', shape: [2], parameters }] })
  return { bytes: Buffer.concat([Buffer.from(json), bytes]), headers: [jsonLength(json.length)], verdict: 'wrong' }
}

/** Bodies with right answers for a model whose rows these are, and binary tensors. */
export function createKinds(rows: readonly object[]): Record<RouteName, Record<string, Kind>> {
  const bytesOfOne = JSON.stringify(rows[0]).length
  const some = (size: number) => Array.from({ length: rowsFor(size, bytesOfOne) }, (_, i) => rows[i % rows.length])
  const json = (of: (size: number) => unknown): Kind => {
    return (size, random) => good(padded(JSON.stringify(of(size)), size, random))
  }
  const tensors = (size: number) => {
    const count = rowsFor(size, 100)
    const take = (all: number[][]) => Array.from({ length: count }, (_, row) => all[row % 2])
    return {
      inputs: [
        { name: 'sparse', datatype: 'INT32', shape: [count, 10], data: take(idRows) },
        { name: 'dense', datatype: 'FP32', shape: [count, 5], data: take(numberRows) },
      ],
    }
  }
  const binary: Kind = (size, random) => {
    const { inputs, bytes } = binaryParts(rowsFor(size, 60))
    const parameters = { binary_data_output: random.integer(2) === 0 }
    const part = padded(JSON.stringify({ parameters, inputs }), size - bytes.length, random)
    return good(Buffer.concat([part, bytes]), jsonLength(part.length))
  }
  const empty = { good: json(() => ({})) }
  const predict = { good: json((size) => ({ candidates: some(size) })) }
  return {
    predict: { ...predict, ...listKinds.predict },
    v1: { good: json((size) => ({ instances: some(size) })), ...listKinds.v1 },
    v2: { ...listKinds.v2, good: json(tensors), binary, 'lying lengths': lying, 'lying strings': lyingStrings },
    index: empty,
    load: empty,
    unknown: predict,
    get: { ...predict, empty: () => good(Buffer.alloc(0)) },
  }
}
