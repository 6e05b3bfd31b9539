import { drawRow } from '../../../src/model/serving/features/draw.ts'
import type { Random } from '../../../src/tools/data/random.ts'
import { inferBody, stringBytes } from '../infer-body.ts'
import { listFeatures } from '../list-features.ts'
import { type Kind, list, type Payload, type RouteName, space } from './payloads.ts'

/*
 * Bodies with lists, for the model `lists`: right ones, ones of which one list, vector or tensor is wrong, and lists of
 * a million values.
 */

/** As the server under test is configured. */
export const maxListValues = 100_000

const draw = (random: Random) => (side: string) =>
  drawRow(listFeatures, random.uniform, (field) => (side === 'context') === (field.side === 'context'))

const pick = <T>(all: readonly T[], random: Random): T => all[random.integer(all.length)]!

/** A value of a candidate that the model refuses, by field. */
const wrongValues: [name: string, value: unknown][] = [
  ...['x', 7, {}, true, [['x']], ['x', null], [1], [{}], { values: ['x'] }, { weights: [1] }].map(
    (value): [string, unknown] => ['tags', value],
  ),
  ...[[], [1, 2], [-1], [1e39], ['1'], [null], 1].map((weights): [string, unknown] => [
    'tags',
    { values: ['x'], weights },
  ]),
  ...[[1], [1, 2, 3], [1, 'x'], [1, 1e39], 1, [[1, 2]], { values: [1, 2], weights: [1, 1] }].map(
    (value): [string, unknown] => ['image', value],
  ),
  ['item', ['a']],
  ['price', [1]],
  ['ages', [1, 2]],
  ['ages', { values: [1], weights: [1] }],
]

/** Columns of three lists that contradict themselves. */
const wrongColumns: unknown[] = [
  ...[[0, 2, 1, 3], [0, 1, 1, 9], [0, 1, 1, 2], [1, 1, 1, 3], [0, 0.5, 1, 3], [0, 3], [0], [], ['0', 1, 2, 3]],
  ...[[0, -1, 1, 3], [0, 2 ** 53, 1, 3], null, 7],
].map((offsets) => ({ values: ['x', 'y', 'x'], offsets }))

/** A body as JSON, filled up with white space. */
function payload(body: object, size: number, random: Random, verdict: Payload['verdict'], line?: string): Payload {
  const json = JSON.stringify(body)
  const bytes = Buffer.concat([Buffer.from('{'), space(size - json.length, random), Buffer.from(json.slice(1))])
  return { bytes, headers: [], verdict, ...(line && { line }) }
}

const lines: Record<'v1' | 'v2', string> = { v1: 'POST /v1/models/lists:predict', v2: 'POST /v2/models/lists/infer' }

/** Rows for `POST /predict` and for TensorFlow Serving, right or with one wrong value. */
function rows(wrong: boolean, serving: boolean): Kind {
  return (size, random) => {
    const of = draw(random)
    const context = of('context')
    const candidates = Array.from({ length: 3 }, () => of('candidate'))
    const columns = Object.fromEntries(
      Object.keys(candidates[0]!).map((name) => [name, candidates.map((row) => row[name])]),
    )
    const byColumn = random.integer(2) === 0
    if (wrong && byColumn) Object.assign(columns, { tags: pick(wrongColumns, random) })
    else if (wrong) {
      const [name, value] = pick(wrongValues, random)
      Object.assign(name === 'ages' ? context : candidates[random.integer(3)]!, { [name]: value })
      // Else its sequence may be as long.
      if (name === 'ages') context.history = ['a', 'b', 'c']
    }
    const own = byColumn ? columns : candidates
    const verdict = wrong ? 'wrong' : 'good'
    if (!serving) return payload({ model: 'lists', context, candidates: own }, size, random, verdict)
    return payload({ context, [byColumn ? 'inputs' : 'instances']: own }, size, random, verdict, lines.v1)
  }
}

/** A tensor with its bytes. */
type Tensor = [input: { name: string; datatype: string; shape: number[] }, bytes: ArrayBufferView]

/** Changes that make tensors of lists wrong. */
const damages: ((tensors: Record<string, Tensor>) => void)[] = [
  ...[
    [0, 2, 1, 3],
    [0, 1, 1, 9],
    [0, 1, 1, 2],
    [1, 1, 1, 3],
    [0, -1, 1, 3],
    [2 ** 31 - 1, 0, 0, 3],
  ].map((ends) => (tensors: Record<string, Tensor>) => {
    tensors.offsets![1] = Int32Array.from(ends)
  }),
  ...[Number.NaN, -1, Number.POSITIVE_INFINITY].map((weight) => (tensors: Record<string, Tensor>) => {
    tensors.weights![1] = Float32Array.of(1, weight, 1)
  }),
  ({ offsets }) => (offsets![0].shape = [2, 2]),
  ({ offsets }) => (offsets![0].datatype = 'FP32'),
  ({ weights }) => (weights![0].shape = [2]),
  ({ tags }) => (tags![0].shape = [3, 1]),
  ({ tags }) => (tags![0].shape = [2 ** 40]),
  ({ image }) => (image![0].shape = [6, 1]),
  ({ image }) => (image![0].shape = [3, 2 ** 52]),
  ({ image }) => (image![0].shape = [1, 2]),
  ({ history }) => (history![0].shape = [2]),
  ({ ages }) => (ages![0].shape = [2, 1]),
  (tensors) => delete tensors.tags,
]

/** Tensors by name, ragged and not. */
function tensors(wrong: boolean): Kind {
  return (size, random) => {
    const all: Record<string, Tensor> = {
      hour: [{ name: 'hour', datatype: 'INT32', shape: [1] }, Int32Array.of(21)],
      campaign: [{ name: 'campaign', datatype: 'BYTES', shape: [3] }, stringBytes(['a', 'b', 'ü'])],
      price: [{ name: 'price', datatype: 'FP32', shape: [3] }, Float32Array.of(1, 2, 3)],
      history: [{ name: 'history', datatype: 'BYTES', shape: [1, 2] }, stringBytes(['a', 'q'])],
      ages: [{ name: 'ages', datatype: 'FP64', shape: [1, 2] }, Float64Array.of(1, 2)],
      tags: [{ name: 'tags', datatype: 'BYTES', shape: [3] }, stringBytes(['x', 'y', 'x'])],
      offsets: [{ name: 'tags.offsets', datatype: 'INT32', shape: [4] }, Int32Array.of(0, 1, 1, 3)],
      weights: [{ name: 'tags.weights', datatype: 'FP32', shape: [3] }, Float32Array.of(1, 0, 3)],
      image: [{ name: 'image', datatype: 'FP32', shape: [3, 2] }, Float32Array.of(1, 2, 3, 4, 5, 6)],
    }
    if (wrong) pick(damages, random)(all)
    const given = Object.values(all)
    const inputs = given.map(([input, { byteLength }]) => ({ ...input, parameters: { binary_data_size: byteLength } }))
    const id = 'x'.repeat(Math.max(0, size - 1500))
    const body = inferBody({ id, inputs }, ...given.map(([, bytes]) => bytes))
    const headers = Object.entries(body.headers).map(([name, value]) => `${name}: ${value}`)
    return { bytes: body.payload, headers, verdict: wrong ? 'wrong' : 'good', line: lines.v2 }
  }
}

/** One list as long as fits. */
function long(before: string, after: string, line?: string): Kind {
  return (size, random) => {
    const { bytes, items } = list(before, '"x"', after, size, random)
    const verdict = items > maxListValues ? 'wrong' : 'good'
    return { bytes, headers: [], verdict, ...(line && { line }) }
  }
}

const one = '"campaign":"c","price":1,"tags":['

/** Bodies by route. */
export const listKinds: Partial<Record<RouteName, Record<string, Kind>>> = {
  predict: {
    lists: rows(false, false),
    'a wrong list': rows(true, false),
    'a long list': long(`{"model":"lists","context":{"hour":1},"candidates":[{${one}`, ']}]}'),
  },
  v1: {
    lists: rows(false, true),
    'a wrong list': rows(true, true),
    'a long list': long(`{"instances":[{"hour":1,${one}`, ']}]}', lines.v1),
  },
  v2: { 'tensors of lists': tensors(false), 'wrong tensors of lists': tensors(true) },
}
