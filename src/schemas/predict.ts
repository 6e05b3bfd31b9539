import Type, { type Static } from 'typebox'
import { FeatureLists, FeatureValue } from './feature-value.ts'
import { ModelName, TaskName, VersionName } from './manifest.ts'
import { ProblemItem } from './problem.ts'

/*
 * POST /predict. The envelope (model, tasks, options, …) is checked against these schemas; the values of features,
 * candidates and tensors are checked by the feature encoder, which knows the model and can name every cell.
 */

export type Context = Static<typeof Context>
export const Context = Type.Record(Type.String(), FeatureValue, {
  description: 'Features shared by all candidates',
})

const id = Type.Union([Type.String(), Type.Integer()], {
  description: 'Echoed unchanged with the prediction: a string, or an integer within ±(2^53 − 1)',
})
const bid = Type.Number({
  minimum: 0,
  description: 'Price offered for a click or conversion; used only to rank by `ecpm`',
})

export type Candidate = Static<typeof Candidate>
export const Candidate = Type.Unsafe<{ id?: string | number; bid?: number } & Record<string, FeatureValue>>(
  Type.Object(
    { id: Type.Optional(id), bid: Type.Optional(bid) },
    {
      additionalProperties: FeatureValue,
      description: 'One candidate: its features, with an optional `id` and `bid`',
    },
  ),
)

/** A candidate whose features come from a table. */
const CandidateKey = Type.Union([Type.String(), Type.Integer()], {
  description: 'The key of an entity of the manifest: its features come from a table; echoed as `id`',
})

export type CandidateColumns = Static<typeof CandidateColumns>
export const CandidateColumns = Type.Unsafe<
  { id?: (string | number)[]; bid?: number[] } & Record<string, FeatureValue[] | FeatureLists>
>(
  Type.Object(
    { id: Type.Optional(Type.Array(id)), bid: Type.Optional(Type.Array(bid)) },
    {
      additionalProperties: Type.Union([Type.Array(FeatureValue), FeatureLists]),
      description: 'All candidates as columns: one array per feature, all of the same length',
    },
  ),
)

export type RankOptions = Static<typeof RankOptions>
export const RankOptions = Type.Object(
  {
    by: Type.String({
      description: 'A task, a derived task, or `ecpm` (1000 · bid · ctr, times cvr if the model has it)',
      examples: ['ecpm', 'ctr'],
    }),
    top_k: Type.Optional(Type.Integer({ minimum: 1, description: 'Return only this many, the best ones' })),
  },
  {
    additionalProperties: false,
    description: 'Return the best first, each with its `score` and its `index` in the request',
  },
)

export type PredictOptions = Static<typeof PredictOptions>
export const PredictOptions = Type.Object(
  {
    deadline_ms: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 600_000,
        description: 'Deadline from arrival, ms; a later response is 504',
      }),
    ),
    gates: Type.Optional(Type.Boolean({ description: "Also return each task's gate weights, one per expert" })),
    raw: Type.Optional(Type.Boolean({ description: 'Also return the probabilities before calibration' })),
    partial: Type.Optional(
      Type.Boolean({
        description: 'Return valid rows even if others are invalid; those are null, and listed in `errors`',
      }),
    ),
    unknown: Type.Optional(
      Type.Boolean({
        description:
          'Also return the fields of each candidate whose value the model does not know, and the lists that were cut',
      }),
    ),
    features: Type.Optional(
      Type.Boolean({
        description:
          'Also return, in `features`, what tables had for the keys of the request, and the defaults that stood in',
      }),
    ),
    rank: Type.Optional(RankOptions),
    observe: Type.Optional(
      Type.Boolean({
        description:
          'With `false` (default `true`), drift, unknown values and the mean prediction do not count this request: for tests, which are no traffic',
      }),
    ),
  },
  { additionalProperties: false },
)

/** Most tasks that a model can have: 256, and as many derived ones. */
export const maxTasks = 512

const envelope = {
  model: Type.Optional(ModelName),
  version: Type.Optional(VersionName),
  label: Type.Optional(
    Type.String({ minLength: 1, maxLength: 128, description: 'A label of a version, instead of `version`' }),
  ),
  tasks: Type.Optional(
    Type.Array(TaskName, {
      minItems: 1,
      maxItems: maxTasks,
      uniqueItems: true,
      description: 'Tasks to return; default: all, derived ones included',
    }),
  ),
  options: Type.Optional(PredictOptions),
}

export type RowsRequest = Static<typeof RowsRequest>
export const RowsRequest = Type.Object(
  {
    ...envelope,
    context: Type.Optional(Context),
    candidates: Type.Optional(Type.Array(Type.Union([Candidate, CandidateKey]), { minItems: 1 })),
  },
  {
    additionalProperties: false,
    description: 'Named features, one object per candidate; without `candidates`, `context` is the only row',
  },
)

export type ColumnsRequest = Static<typeof ColumnsRequest>
export const ColumnsRequest = Type.Object(
  { ...envelope, context: Type.Optional(Context), candidates: CandidateColumns },
  { additionalProperties: false, description: 'Named features as columns; the response has columns too' },
)

const sparse = Type.Array(Type.Array(Type.Integer()), {
  description: 'int32 [rows, sparse fields], ids of the shared id space',
})
const dense = Type.Array(Type.Array(Type.Number()), { description: 'float32 [rows, dense fields], scaled' })

export type TensorsRequest = Static<typeof TensorsRequest>
export const TensorsRequest = Type.Object(
  { ...envelope, sparse, dense: Type.Optional(dense) },
  { additionalProperties: false, description: 'Encoded tensors, fields in manifest order' },
)

export type DenseRequest = Static<typeof DenseRequest>
export const DenseRequest = Type.Object(
  { ...envelope, dense },
  { additionalProperties: false, description: 'The same for a model without sparse fields' },
)

export type InputsRequest = Static<typeof InputsRequest>
export const InputsRequest = Type.Object(
  {
    ...envelope,
    inputs: Type.Record(Type.String(), Type.Array(Type.Unknown()), {
      description: "Numbers [rows, …] by the names of the graph's inputs, which `GET /models/{model}` lists",
    }),
  },
  {
    additionalProperties: false,
    description: "Tensors by the names of the graph's inputs; for any model, even without a manifest",
  },
)

/** The body of `POST /predict`, in one of its forms; the forms exclude each other. */
export type PredictRequest = Static<typeof PredictRequest>
export const PredictRequest = Type.Union([RowsRequest, ColumnsRequest, TensorsRequest, DenseRequest, InputsRequest], {
  description: 'One user and N candidates: named features as rows or columns, or tensors',
})

/** The body, its rows unchecked: this much is validated before a model is chosen. */
export type PredictEnvelope = Static<typeof PredictEnvelope>
export const PredictEnvelope = Type.Object(
  {
    ...envelope,
    context: Type.Optional(Type.Unknown()),
    candidates: Type.Optional(Type.Unknown()),
    sparse: Type.Optional(Type.Unknown()),
    dense: Type.Optional(Type.Unknown()),
    inputs: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { additionalProperties: false },
)

const probability = Type.Number({ minimum: 0, maximum: 1 })

const echoedId = Type.Union([Type.String(), Type.Integer()])

const ofOne = Type.Object(
  {
    id: Type.Optional(echoedId),
    index: Type.Optional(Type.Integer({ description: 'With `rank`: the row in the request' })),
    score: Type.Optional(Type.Number({ description: 'With `rank`: the value that orders the candidates' })),
    raw: Type.Optional(
      Type.Record(Type.String(), probability, { description: 'With `raw`: probabilities before calibration' }),
    ),
    gates: Type.Optional(
      Type.Record(Type.String(), Type.Array(probability), {
        description: 'With `gates`: per task the weight of each expert',
      }),
    ),
    unknown: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'With `unknown`: fields whose value is outside their vocabulary or range; of a list with the place, `tags[2]`',
      }),
    ),
    cut: Type.Optional(
      Type.Array(Type.String(), { description: 'With `unknown`: lists that are longer than the model takes' }),
    ),
  },
  { additionalProperties: probability, description: 'A probability per task, by name' },
)

/** One candidate's probabilities: a key per task, and what the options asked for. */
export type Prediction = Static<typeof Prediction>
export const Prediction = Type.Unsafe<Static<typeof ofOne> & { [task: string]: number }>(ofOne)

const orNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const byColumn = Type.Object(
  {
    id: Type.Optional(Type.Array(orNull(echoedId))),
    index: Type.Optional(Type.Array(Type.Integer())),
    score: Type.Optional(Type.Array(Type.Number())),
    raw: Type.Optional(Type.Record(Type.String(), Type.Array(orNull(probability)))),
    gates: Type.Optional(Type.Record(Type.String(), Type.Array(orNull(Type.Array(probability))))),
    unknown: Type.Optional(Type.Array(orNull(Type.Array(Type.String())))),
    cut: Type.Optional(Type.Array(orNull(Type.Array(Type.String())))),
  },
  {
    additionalProperties: Type.Array(orNull(probability)),
    description: 'An array of probabilities per task, by name; with `partial`, null for an invalid row',
  },
)

/** The same as columns. */
export type PredictionColumns = Static<typeof PredictionColumns>
export const PredictionColumns = Type.Unsafe<Static<typeof byColumn> & { [task: string]: (number | null)[] }>(byColumn)

const FetchNote = Type.Object(
  {
    key: Type.String(),
    found: Type.Boolean({ description: 'Whether the table has the key' }),
    fetched: Type.Record(Type.String(), Type.Unknown(), { description: 'Values from the table, by field' }),
    defaults: Type.Record(Type.String(), Type.Unknown(), {
      description: 'Fields that the table has no value of, and the default that stands in; null where there is none',
    }),
  },
  { description: 'Fields that the request sends itself are left out' },
)

/** Rows of tables for the keys of a request. */
export type FetchedFeatures = Static<typeof FetchedFeatures>
export const FetchedFeatures = Type.Object(
  {
    context: Type.Record(Type.String(), FetchNote, { description: 'By entity' }),
    candidates: Type.Array(Type.Union([Type.Record(Type.String(), FetchNote), Type.Null()]), {
      description: 'By entity, for each candidate of the request; null for one without a key',
    }),
  },
  { description: 'With `features`: what tables had for the keys of the request' },
)

export type PredictAnswer = Static<typeof PredictAnswer>
export const PredictAnswer = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    request_id: Type.String(),
    predictions: Type.Union([Type.Array(Type.Union([Prediction, Type.Null()])), PredictionColumns], {
      description: 'Row i answers row i of the request, unless `rank` orders them; columns if the request has columns',
    }),
    errors: Type.Optional(
      Type.Array(ProblemItem, {
        description:
          'The problems of the rows that are null: with `partial`, and where an entity leaves out candidates whose key is unknown',
      }),
    ),
    features: Type.Optional(FetchedFeatures),
  },
  { description: 'The probability of every task for every candidate' },
)
