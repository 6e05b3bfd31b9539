import { type MixtureModel, referenceModels } from '../competitors/models.ts'
import { createQueries, type Query } from '../competitors/queries.ts'

/** The settings with which a value of an axis is measured. */
export interface Point {
  model: MixtureModel
  /** Copies of the model that are served. */
  copies: number
  /** Candidates per request. */
  rows: number
  connections: number
  /** Different requests. */
  distinct: number
  /** Where candidates come from; default: each is new. */
  catalogue?: { ads: number; exponent: number }
}

export interface Axis {
  name: string
  title: string
  values: readonly number[]
  pointOf(value: number): Point
}

/** Neither small nor large: a request of 100 rows takes a millisecond. */
const middle: MixtureModel = {
  name: 'middle',
  sparse: { fields: 10, context: 5, ids: 1000 },
  dense: { fields: 5, context: 2 },
  embedding: 16,
  experts: 4,
  expert: [64, 32],
  tower: 32,
}

const usual: Point = { model: middle, copies: 1, rows: 100, connections: 8, distinct: 512 }

const withModel = (change: Partial<MixtureModel>, name: string): Point => ({
  ...usual,
  model: { ...middle, ...change, name },
})

/** The properties that grow, and by how much; the others stay as usual. */
export const axes: readonly Axis[] = [
  {
    name: 'rows',
    title: 'candidates per request',
    values: [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
    pointOf: (rows) => ({ ...usual, rows, connections: rows > 1000 ? 2 : 8, distinct: Math.max(8, 20_000 / rows) }),
  },
  {
    name: 'fields',
    title: 'fields',
    values: [3, 6, 15, 30, 60, 150, 300],
    pointOf: (fields) =>
      withModel(
        {
          sparse: { fields: (2 * fields) / 3, context: Math.floor(fields / 3), ids: 1000 },
          dense: { fields: fields / 3, context: Math.floor(fields / 6) },
        },
        `fields-${fields}`,
      ),
  },
  {
    name: 'experts',
    title: 'experts',
    values: [1, 2, 4, 8, 16, 32, 64],
    pointOf: (experts) => withModel({ experts }, `experts-${experts}`),
  },
  {
    name: 'ids',
    title: 'ids (16 floats each)',
    values: [1000, 10_000, 100_000, 1_000_000, 10_000_000],
    pointOf: (ids) => withModel({ sparse: { ...middle.sparse, ids: ids / 10 } }, `ids-${ids}`),
  },
  {
    name: 'models',
    title: 'models',
    values: [1, 5, 20, 50, 100, 200],
    pointOf: (copies) => ({ ...usual, model: referenceModels.small, rows: 1, copies, distinct: 4096 }),
  },
  {
    name: 'connections',
    title: 'connections',
    values: [1, 10, 100, 1000, 5000, 10_000],
    pointOf: (connections) => ({ ...usual, model: referenceModels.small, rows: 1, connections, distinct: 4096 }),
  },
  {
    name: 'popularity',
    title: 'Zipf exponent, 200,000 ads',
    values: [0.4, 0.6, 0.8, 1, 1.2, 1.4],
    pointOf: (exponent) => ({
      ...usual,
      model: referenceModels.prod,
      distinct: 4096,
      catalogue: { ads: 200_000, exponent },
    }),
  },
]

/** The requests of a point; the same in every run. */
export function* queriesOf({ model, rows, distinct, catalogue }: Point, seed: number): Generator<Query> {
  const draw = createQueries(model, catalogue ?? 'new', seed)
  for (let i = 0; i < distinct; i++) yield draw(rows)
}
