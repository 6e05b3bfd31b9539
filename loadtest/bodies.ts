import type { Encoder } from '../src/model/serving/features/encoder.ts'
import { bindingsOf } from '../src/model/serving/prediction/bindings.ts'
import type { Features, Field } from '../src/schemas/features.ts'
import type { Manifest } from '../src/schemas/manifest.ts'
import { createDraw, createRandom, type Random, zipf } from '../src/tools/data/random.ts'

type Value = string | number
type Named = Record<string, Value>

/** One user and the competing ads. */
export interface Query {
  context: Named
  candidates: (Named & { id: string })[]
}

/** The three forms of `POST /predict`. */
export const forms = ['rows', 'columns', 'tensors'] as const
export type Form = (typeof forms)[number]

/** Number of ads. An ad's own values are the same in every request. */
const catalogueSize = 5000
/** Distinct values of a hashed field. */
const hashedValues = 50_000
/** Zipf exponent, typical of traffic on ads and pages. */
const popularity = 1.05

/** Draws seeded queries for a model with these fields: distinct candidates, by Zipf popularity. */
export function createQueries(features: Features, seed: number): (rows: number) => Query {
  const random = createRandom(seed)
  const draws = features.map((field) => ({ field, draw: createValues(field, random) }))
  const draw = (sides: string[]): Named =>
    Object.fromEntries(
      draws.filter(({ field }) => sides.includes(field.side)).map(({ field, draw }) => [field.name, draw()]),
    )
  const catalogue = Array.from({ length: catalogueSize }, (_, ad) => ({ id: `ad-${ad}`, ...draw(['candidate']) }))
  const drawAd = createDraw(zipf(catalogueSize, popularity))
  return (rows) => {
    const ads = new Set<number>()
    while (ads.size < Math.min(rows, catalogueSize)) ads.add(drawAd(random))
    const candidates = Array.from(ads, (ad) => ({ ...catalogue[ad]!, ...draw(['cross']) }))
    return { context: draw(['context']), candidates }
  }
}

/** The query as the body of a request. */
export function toBody(query: Query, form: Form, encoder: Encoder, envelope: Record<string, unknown>): string {
  const { context, candidates } = query
  if (form === 'rows') return JSON.stringify({ ...envelope, context, candidates })
  if (form === 'columns') {
    const names = Object.keys(candidates[0] ?? {})
    const columns = names.map((name) => [name, candidates.map((candidate) => candidate[name])])
    return JSON.stringify({ ...envelope, context, candidates: Object.fromEntries(columns) })
  }
  const { rows, sparse, dense } = encoder.rows(context, candidates, { maxRows: candidates.length, partial: false })
  return JSON.stringify({ ...envelope, sparse: matrix(rows, sparse), dense: matrix(rows, dense) })
}

/** A request with its own path and headers. */
export interface BinaryRequest {
  path: string
  headers: Record<string, string>
  body: Buffer
}

/** The query's tensors as bytes, for the Open Inference Protocol; the answer is binary too. */
export function toInferRequest({ context, candidates }: Query, manifest: Manifest, encoder: Encoder): BinaryRequest {
  const { rows, sparse, dense } = encoder.rows(context, candidates, { maxRows: candidates.length, partial: false })
  const bindings = bindingsOf(manifest)
  const tensors = [
    { name: bindings.sparse, datatype: 'INT32', values: sparse },
    { name: bindings.dense, datatype: 'FP32', values: dense },
  ].filter(({ name }) => name !== undefined)
  const json = JSON.stringify({
    parameters: { binary_data_output: true },
    inputs: tensors.map(({ name, datatype, values }) => ({
      name,
      datatype,
      shape: [rows, values.length / rows],
      parameters: { binary_data_size: values.byteLength },
    })),
  })
  const bytes = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength))
  return {
    path: `/v2/models/${manifest.name}/infer`,
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(Buffer.byteLength(json)),
    },
    body: Buffer.concat([Buffer.from(json), ...bytes]),
  }
}

/** Eight significant digits: enough of float32 for probabilities to agree within 1e-6. */
function matrix(rows: number, values: Int32Array | Float32Array): number[][] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) =>
    Array.from(values.subarray(row * width, (row + 1) * width), (value) => Number(value.toPrecision(8))),
  )
}

function createValues(field: Field, random: Random): () => Value {
  switch (field.kind) {
    case 'vocabulary': {
      const draw = createDraw(zipf(field.values.length, popularity))
      return () => field.values[draw(random)]!
    }
    case 'hash': {
      const draw = createDraw(zipf(hashedValues, popularity))
      return () => `${field.name}-${draw(random)}`
    }
    case 'integer':
      return () => random.integer(field.size)
    case 'numeric': {
      const draw = createNumbers(field.scaling, random)
      return () => Number(draw().toFixed(3))
    }
  }
}

/** Numbers that are typical for this scaling: about two deviations wide after scaling. */
function createNumbers(scaling: Extract<Field, { kind: 'numeric' }>['scaling'], random: Random): () => number {
  switch (scaling.method) {
    case 'standard':
      return () => scaling.mean + scaling.deviation * random.normal()
    case 'min_max':
      return () => scaling.min + (scaling.max - scaling.min) * random.uniform()
    case 'log1p':
      return () => Math.expm1(2 * scaling.scale * random.uniform())
    case 'none':
      return () => random.normal()
  }
}
