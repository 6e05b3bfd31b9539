import { nameOfId } from '../src/model/serving/features/decode.ts'
import type { Encoder } from '../src/model/serving/features/encoder.ts'
import { createLayout, givenColumns } from '../src/model/serving/features/layout.ts'
import { type InputField, idsOf, inputFields, paddingOf, tableOf } from '../src/model/serving/features/table.ts'
import type { Features, NumericField, Side, VectorField } from '../src/schemas/features.ts'
import { createDraw, createRandom, type Random, zipf } from '../src/tools/data/random.ts'
import { type Catalogue, createCandidates, usualCatalogue } from './candidates.ts'

type Value = string | number
type Named = Record<string, Value | Value[]>

/** One user and the competing ads. */
export interface Query {
  context: Named
  candidates: (Named & { id: string })[]
}

/** The three forms of `POST /predict`. */
export const forms = ['rows', 'columns', 'tensors'] as const
export type Form = (typeof forms)[number]

/** Distinct values of a hashed field. */
const hashedValues = 50_000

/**
 * Draws seeded queries for a model with these fields: different candidates of a catalogue, or new
 * ones. An ad's own values are the same in every query.
 */
export function createQueries(
  features: Features,
  seed: number,
  catalogue: Catalogue | 'new' = usualCatalogue,
): (rows: number) => Query {
  const random = createRandom(seed)
  const draws = inputFields(features).map((field) => ({ field, draw: createColumn(field, random) }))
  const draw = (side: Side): Named => {
    const lengths = new Map<string, number>()
    const own = draws.filter(({ field }) => field.side === side)
    return Object.fromEntries(own.map(({ field, draw }) => [field.name, draw(lengths)]))
  }
  const drawAds = createCandidates(catalogue, random, (ad) => ({ id: `ad-${ad}`, ...draw('candidate') }))
  return (rows) => {
    const candidates = drawAds(rows).map((ad) => ({ ...ad, ...draw('cross') }))
    return { context: draw('context'), candidates }
  }
}

/**
 * The query as the body of a request; `graph`: tensors with the columns of crossed fields, which multigate computes.
 */
export function toBody(
  query: Query,
  form: Form | 'graph',
  encoder: Encoder,
  envelope: Record<string, unknown>,
): string {
  const { context, candidates } = query
  if (form === 'rows') return JSON.stringify({ ...envelope, context, candidates })
  if (form === 'columns') {
    const names = Object.keys(candidates[0] ?? {})
    const columns = names.map((name) => [name, candidates.map((candidate) => candidate[name])])
    return JSON.stringify({ ...envelope, context, candidates: Object.fromEntries(columns) })
  }
  const { rows, sparse, dense } = encoder.rows(context, candidates, { maxRows: candidates.length, partial: false })
  const { layout } = encoder
  const given = form === 'graph' ? layout.sparse.length : givenColumns(layout).length
  const ids = sparse.length === 0 ? undefined : matrix(rows, sparse).map((row) => row.slice(0, given))
  return JSON.stringify({ ...envelope, sparse: ids, dense: dense.length === 0 ? undefined : matrix(rows, dense) })
}

/** Encoded rows of random values, seeded: ids uniform over those of each field, numbers normal. */
export function drawEncodedRows(features: Features, rows: number, seed: number) {
  const { sparse, dense } = createLayout(features)
  const random = createRandom(seed)
  return {
    rows,
    sparse: Int32Array.from({ length: rows * sparse.length }, (_, i) => {
      const { offset, ids } = sparse[i % sparse.length]!
      return offset + Math.floor(random.uniform() * ids)
    }),
    dense: Float32Array.from({ length: rows * dense.length }, () => random.normal()),
    labels: undefined,
  }
}

/** Eight significant digits: enough of float32 for probabilities to agree within 1e-6. */
export function matrix(rows: number, values: Int32Array | Float32Array): number[][] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) =>
    Array.from(values.subarray(row * width, (row + 1) * width), (value) => Number(value.toPrecision(8))),
  )
}

/** A value, a list that is as long as those of its sequence, or a vector. */
function createColumn(field: InputField, random: Random): (lengths: Map<string, number>) => Value | Value[] {
  if (field.kind === 'vector')
    return () => Array.from({ length: field.length }, () => Number(random.normal().toFixed(3)))
  const draw = createValues(field, random)
  const { list, sequence } = field
  if (list === undefined) return draw
  const drawItem = withoutPadding(field, draw)
  return (lengths) => {
    const length = (sequence === undefined ? undefined : lengths.get(sequence)) ?? random.integer(list.max + 1)
    if (sequence !== undefined) lengths.set(sequence, length)
    return Array.from({ length }, drawItem)
  }
}

/** Draws the last value in place of the one that has the id of padding, which no list may have. */
function withoutPadding(field: Exclude<InputField, VectorField>, draw: () => Value): () => Value {
  if (field.kind !== 'vocabulary' && field.kind !== 'integer') return draw
  const padding = paddingOf(field)
  if (padding < tableOf(field).first) return draw
  const [taken, last] = [nameOfId(field, padding), nameOfId(field, idsOf(field) - 1)]
  return () => {
    const value = draw()
    return value === taken ? last : value
  }
}

function createValues(field: Exclude<InputField, VectorField>, random: Random): () => Value {
  switch (field.kind) {
    case 'vocabulary': {
      const draw = createDraw(zipf(field.values.length, usualCatalogue.exponent))
      return () => field.values[draw(random)]!
    }
    case 'hash': {
      const draw = createDraw(zipf(hashedValues, usualCatalogue.exponent))
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
function createNumbers(scaling: NumericField['scaling'], random: Random): () => number {
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
