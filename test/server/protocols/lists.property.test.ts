import t from 'tap'
import { createQueries, forms, toBody } from '../../../loadtest/bodies.ts'
import type { ModelError } from '../../../src/base/errors.ts'
import type { SavedSignature } from '../../../src/model/contracts/saved-signature.ts'
import { encoderOf } from '../../../src/model/serving/features/encoder.ts'
import type { EncodedRequest, Layout } from '../../../src/model/serving/features/layout.ts'
import { tableProblems } from '../../../src/model/serving/features/table.ts'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { encodeQuery } from '../../../src/model/serving/prediction/query-rows.ts'
import { sampleRequests } from '../../../src/model/serving/prediction/sample-requests.ts'
import { type InputTensor, tensorsOf } from '../../../src/model/serving/prediction/tensors.ts'
import type { FeatureValue } from '../../../src/schemas/feature-value.ts'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import type { BodyBytes, BodyFormat, RequestModel } from '../../../src/server/body/body-format.ts'
import { inferFormat } from '../../../src/server/protocols/open-inference/infer-format.ts'
import { predictFormat } from '../../../src/server/protocols/predict/predict-format.ts'
import { servingFormat } from '../../../src/server/protocols/tensorflow-serving/serving-format.ts'
import { createRandom, type Random } from '../../../src/tools/data/random.ts'
import { createPredictRequests } from '../../../src/tools/load/predict-requests.ts'
import { fc, randomCases } from '../../support/cases.ts'
import { featureTensors, inferTensors, type ListTensor } from '../../support/list-tensors.ts'
import { drawManifest, drawQuery, type Row } from '../../support/random-lists.ts'

/*
 * Lists, sequences, weighted lists, vectors and shared tables are encoded alike, bit for bit, whatever form they come
 * in.
 */

const limits = { maxRequestRows: 100, maxListValues: 10_000, maxDelayMs: 0 }

/** The signature of a graph that was exported for a manifest's `graph.inputs.fields`. */
function savedOf({ graph: { inputs } }: Manifest, layout: Layout): SavedSignature | undefined {
  if (inputs.fields === undefined) return undefined
  const tensor = (name: string | undefined, dtype: string, dims: number[]) =>
    name === undefined ? [] : [{ name, dtype, dims, ids: [], shared: true }]
  const saved = layout.slots.flatMap(({ name, width, group }) => {
    const { ids, values, mask, lengths, weights } = inputs.fields![name]!
    const dims = group === undefined ? [] : [width]
    return [
      ...tensor(ids, 'int64', dims),
      ...tensor(values, 'float32', dims),
      ...tensor(mask, 'bool', dims),
      ...tensor(lengths, 'int64', []),
      ...tensor(weights, 'float32', dims),
    ]
  })
  return { inputs: saved, outputs: [] }
}

function modelOf(manifest: Manifest): RequestModel {
  const encoder = encoderOf(manifest)
  const { layout } = encoder
  const tensors = tensorsOf(manifest, layout, savedOf(manifest, layout), false)
  return { encoder, tensors, manifestless: false, limits }
}

const options = { maxRows: 100, maxValues: 10_000, partial: false }

function encode(model: RequestModel, format: BodyFormat<unknown>, body: object | BodyBytes): EncodedRequest {
  const bytes = 'bytes' in body ? body : { bytes: Buffer.from(JSON.stringify(body)) }
  try {
    const { rows } = format.open(bytes as BodyBytes).rowsFor(model)
    return encodeQuery(rows, model.encoder, model.tensors.inputs, options)
  } catch (error) {
    throw new Error(`${bytes.bytes.toString()}: ${(error as ModelError).message}`)
  }
}

/** The encoded rows under the names of the graph's inputs, [rows, width] of each; some of what follows is left out. */
function graphTensors({ tensors }: RequestModel, { rows, sparse, dense }: EncodedRequest, random: Random) {
  const all: (InputTensor & { matrix: number[][] })[] = []
  for (const input of tensors.inputs) {
    const { role, column, columns, width, derived, context } = input
    if (derived !== undefined && random.integer(3) === 0) continue
    const from = role === 'sparse' ? sparse : dense
    const at = (row: number, i: number) => from[(row * from.length) / rows + i]!
    const own = columns ?? Array.from({ length: derived?.width ?? width }, (_, i) => column + i)
    const isValue = (row: number) => own.map((i) => Number(at(row, i) !== derived!.padding))
    const rowOf = (row: number) => {
      if (derived === undefined) return own.map((i) => at(row, i))
      return derived.is === 'mask' ? isValue(row) : [isValue(row).reduce((sum, one) => sum + one, 0)]
    }
    const given = context && random.integer(2) === 0 ? 1 : rows
    all.push({ ...input, matrix: Array.from({ length: given }, (_, row) => rowOf(row)) })
  }
  return all
}

/** A column as values and offsets. */
function flat(lists: FeatureValue[]) {
  const offsets = [0]
  const values: unknown[] = []
  const weights: number[] = []
  for (const list of lists) {
    const plain = Array.isArray(list) ? list : (list as { values: string[] }).values
    values.push(...plain)
    weights.push(...(Array.isArray(list) ? plain.map(() => 1) : (list as { weights: number[] }).weights))
    offsets.push(values.length)
  }
  const weighted = lists.some((list) => !Array.isArray(list))
  return { values, offsets, ...(weighted && { weights }) }
}

/** Strings as base64, wherever they stand. */
function base64(value: unknown): unknown {
  if (typeof value === 'string') return { b64: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(base64)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, base64(item)]))
}

const columnsOf = (rows: Row[]): Record<string, FeatureValue[]> =>
  Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name]!)]))

/** By a name for messages, the same request in all forms. */
function* everyForm(manifest: Manifest, model: RequestModel, random: Random): Generator<[string, EncodedRequest]> {
  const { layout } = model.encoder
  const { context, candidates } = drawQuery(manifest.features, layout, random)
  const expected = encode(model, predictFormat, { context, candidates })
  yield ['rows', expected]
  const columns = columnsOf(candidates)
  const flatOf = ([name, values]: [string, FeatureValue[]]) =>
    [name, layout.byName.get(name)!.group === undefined ? values : flat(values)] as const
  // Fields may all have been left to their defaults.
  if (Object.keys(columns).length > 0) {
    const lists = Object.fromEntries(Object.entries(columns).map(flatOf))
    yield ['columns', encode(model, predictFormat, { context, candidates: columns })]
    yield ['values and offsets', encode(model, predictFormat, { context, candidates: lists })]
    yield ['serving: inputs', encode(model, servingFormat, { context, inputs: columns })]
    yield ['serving: values and offsets', encode(model, servingFormat, { context, inputs: lists })]
    yield ['serving: base64', encode(model, servingFormat, base64({ context, inputs: lists }) as object)]
  }
  const whole = candidates.map((candidate) => ({ ...context, ...candidate }))
  const signature_name = 'features'
  yield ['serving: instances', encode(model, servingFormat, { signature_name, instances: whole })]
  yield ['serving: context', encode(model, servingFormat, { context, instances: candidates })]
  yield ['serving: base64 rows', encode(model, servingFormat, base64({ context, instances: candidates }) as object)]
  for (const repeated of [false, true]) {
    const rows = repeated ? whole : candidates
    const tensors = featureTensors(layout, repeated ? {} : context, rows, random)
    if (tensors.length === 0 || !tensors.some(({ rows }) => rows === candidates.length)) continue
    yield ['infer: JSON', encode(model, inferFormat, inferTensors(tensors, 'json', random))]
    yield ['infer: bytes', encode(model, inferFormat, inferTensors(tensors, 'bytes', random))]
    yield ['infer: both', encode(model, inferFormat, inferTensors(tensors, 'either', random))]
  }
  yield* encodedForms(model, expected, random)
}

function* encodedForms(
  model: RequestModel,
  expected: EncodedRequest,
  random: Random,
): Generator<[string, EncodedRequest]> {
  const { rows, sparse, dense } = expected
  const matrix = (values: Int32Array | Float32Array) =>
    values.length === 0
      ? undefined
      : Array.from({ length: rows }, (_, row) => [
          ...values.subarray((row * values.length) / rows, ((row + 1) * values.length) / rows),
        ])
  yield ['tensors', encode(model, predictFormat, { sparse: matrix(sparse), dense: matrix(dense) })]
  const named = graphTensors(model, expected, random)
  if (Math.max(...named.map(({ matrix }) => matrix.length)) < rows) return
  const nested = ({ dims, matrix }: (typeof named)[number]) => (dims.length === 0 ? matrix.flat() : matrix)
  const inputs = Object.fromEntries(named.map((input) => [input.name, nested(input)]))
  yield ['inputs', encode(model, predictFormat, { inputs })]
  yield ['serving: tensors', encode(model, servingFormat, { signature_name: 'serving_default', inputs })]
  const instances = Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(named.map((input) => [input.name, nested(input)[input.matrix.length === 1 ? 0 : row]])),
  )
  yield ['serving: rows of tensors', encode(model, servingFormat, { signature_name: 'serving_default', instances })]
  const tensors = named.map(
    ({ name, dims, role, dtype, derived, matrix }): ListTensor => ({
      name,
      datatype: derived?.is === 'mask' ? 'BOOL' : role === 'dense' || dtype === 'float32' ? 'FP32' : 'INT64',
      shape: [matrix.length, ...dims],
      rows: matrix.length,
      values: derived?.is === 'mask' ? matrix.flat().map(Boolean) : matrix.flat(),
    }),
  )
  yield ['infer: tensors', encode(model, inferFormat, inferTensors(tensors, 'json', random))]
  yield ['infer: tensors as bytes', encode(model, inferFormat, inferTensors(tensors, 'bytes', random))]
}

const bytesOf = ({ rows, sparse, dense }: EncodedRequest) =>
  `${rows} ${Buffer.from(sparse.slice().buffer).toString('hex')} ${Buffer.from(dense.slice().buffer).toString('hex')}`

t.test('lists are encoded alike in every form', async (t) => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = createRandom(seed)
      const manifest = drawManifest(random)
      if (tableProblems(manifest.features).length > 0) throw new Error('the manifest is wrong')
      const model = modelOf(manifest)
      let expected: string | undefined
      for (const [form, encoded] of everyForm(manifest, model, random)) {
        seen.add(form)
        expected ??= bytesOf(encoded)
        if (bytesOf(encoded) !== expected) throw new Error(`${form} is encoded differently`)
      }
    }),
    { numRuns: randomCases(900), includeErrorInReport: true },
  )
  t.equal(seen.size, 18, [...seen].join(', '))
})

t.test('requests that are drawn for such models are valid', async () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = createRandom(seed)
      const manifest = drawManifest(random)
      const model = modelOf(manifest)
      const { features } = manifest
      for (const request of sampleRequests({ ...model, manifest } as LoadedModel)) encode(model, predictFormat, request)
      const { requests, refresh } = createPredictRequests({
        model: 'ads',
        features,
        candidates: 4,
        cached: 0.5,
        distinct: 2,
        seed,
      })
      for (let round = 0; round < 4; round++) {
        refresh(round)
        const text = requests[round % 2]!.toString()
        encode(model, predictFormat, JSON.parse(text.slice(text.indexOf('\r\n\r\n'))))
      }
      const query = createQueries(features, seed)(4)
      for (const form of forms) encode(model, predictFormat, JSON.parse(toBody(query, form, model.encoder, {})))
    }),
    { numRuns: randomCases(60), includeErrorInReport: true },
  )
})
