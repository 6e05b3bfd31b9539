import Type, { type Static } from 'typebox'
import { ModelName, TaskName, VersionName } from './manifest.ts'
import { ProblemItem } from './problem.ts'

/*
 * POST /predict. What the envelope (model, tasks, options, …) holds is checked against these schemas; the values of
 * features, candidates and tensors are checked by the feature encoder, which knows the model and can name every cell.
 */

/** The value of one feature: a string (categorical), a number (integer ids and numbers), or null for "missing". */
export type FeatureValue = Static<typeof FeatureValue>
export const FeatureValue = Type.Union([Type.String(), Type.Number(), Type.Null()], {
  description: 'A string for categorical fields, a number for integer ids and numeric fields, null where it is missing',
})

export type Context = Static<typeof Context>
export const Context = Type.Record(Type.String(), FeatureValue, {
  description: 'Features that hold for all candidates',
})

const id = Type.Union([Type.String(), Type.Integer()], {
  description: 'Echoed with the prediction as it was sent: a string, or an integer within ±(2^53 − 1)',
})
const bid = Type.Number({
  minimum: 0,
  description: 'Price offered for a click or conversion; used by `rank` by `ecpm` alone',
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

export type CandidateColumns = Static<typeof CandidateColumns>
export const CandidateColumns = Type.Unsafe<
  { id?: (string | number)[]; bid?: number[] } & Record<string, FeatureValue[]>
>(
  Type.Object(
    { id: Type.Optional(Type.Array(id)), bid: Type.Optional(Type.Array(bid)) },
    {
      additionalProperties: Type.Array(FeatureValue),
      description: 'All candidates by column: one array per feature, all of the same length',
    },
  ),
)

export type RankOptions = Static<typeof RankOptions>
export const RankOptions = Type.Object(
  {
    by: Type.String({
      description: 'A task, a derived task, or `ecpm` (1000 · bid · ctr, · cvr where the model has one)',
      examples: ['ecpm', 'ctr'],
    }),
    top_k: Type.Optional(Type.Integer({ minimum: 1, description: 'Answer the best so many only' })),
  },
  {
    additionalProperties: false,
    description: 'Answer the best first, each with its `score` and its `index` in the request',
  },
)

export type PredictOptions = Static<typeof PredictOptions>
export const PredictOptions = Type.Object(
  {
    deadline_ms: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 600_000,
        description: 'Time for the answer from arrival, ms; later it is 504',
      }),
    ),
    gates: Type.Optional(Type.Boolean({ description: "Also answer each task's gate weights, one per expert" })),
    raw: Type.Optional(Type.Boolean({ description: 'Also answer the probabilities before calibration' })),
    partial: Type.Optional(
      Type.Boolean({ description: 'Answer good rows though others are bad: these are null, and listed in `errors`' }),
    ),
    unknown: Type.Optional(
      Type.Boolean({
        description: 'Also answer which fields of each candidate had a value that the model does not know',
      }),
    ),
    rank: Type.Optional(RankOptions),
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
      description: 'Tasks to answer; default: all, derived ones too',
    }),
  ),
  options: Type.Optional(PredictOptions),
}

export type RowsRequest = Static<typeof RowsRequest>
export const RowsRequest = Type.Object(
  { ...envelope, context: Type.Optional(Context), candidates: Type.Optional(Type.Array(Candidate, { minItems: 1 })) },
  {
    additionalProperties: false,
    description: 'Named features, one object a candidate; without `candidates`, `context` is the one row',
  },
)

export type ColumnsRequest = Static<typeof ColumnsRequest>
export const ColumnsRequest = Type.Object(
  { ...envelope, context: Type.Optional(Context), candidates: CandidateColumns },
  { additionalProperties: false, description: 'Named features by column; the answer is by column too' },
)

const sparse = Type.Array(Type.Array(Type.Integer()), {
  description: 'int32 [rows, sparse fields], ids of the one shared id space',
})
const dense = Type.Array(Type.Array(Type.Number()), { description: 'float32 [rows, dense fields], scaled' })

export type TensorsRequest = Static<typeof TensorsRequest>
export const TensorsRequest = Type.Object(
  { ...envelope, sparse, dense: Type.Optional(dense) },
  { additionalProperties: false, description: 'Tensors, already encoded, fields in manifest order' },
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
      description: "By the names of the graph's inputs, as `GET /models/{model}` lists them: [rows, …], numbers",
    }),
  },
  {
    additionalProperties: false,
    description: "Tensors by the names of the graph's inputs: of any model, also one without a manifest",
  },
)

/** The body of `POST /predict`, in one of its forms; no body of one form is taken for another. */
export type PredictRequest = Static<typeof PredictRequest>
export const PredictRequest = Type.Union([RowsRequest, ColumnsRequest, TensorsRequest, DenseRequest, InputsRequest], {
  description: 'One user and N candidates: named features by row or by column, or tensors',
})

/** The body with its rows still unread: what is checked before a model is chosen. */
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
    index: Type.Optional(Type.Integer({ description: 'With `rank`: the row of the request' })),
    score: Type.Optional(Type.Number({ description: 'With `rank`: what was ranked by' })),
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
        description: 'With `unknown`: fields whose value is outside their vocabulary or range',
      }),
    ),
  },
  { additionalProperties: probability, description: 'A probability per task, by its name' },
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
  },
  {
    additionalProperties: Type.Array(orNull(probability)),
    description: 'An array of probabilities per task, by its name; with `partial`, null for a row that is bad',
  },
)

/** The same by column. */
export type PredictionColumns = Static<typeof PredictionColumns>
export const PredictionColumns = Type.Unsafe<Static<typeof byColumn> & { [task: string]: (number | null)[] }>(byColumn)

export type PredictAnswer = Static<typeof PredictAnswer>
export const PredictAnswer = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    request_id: Type.String(),
    predictions: Type.Union([Type.Array(Type.Union([Prediction, Type.Null()])), PredictionColumns], {
      description:
        'Row i answers row i of the request, unless `rank` asks for an order; by column where the request was',
    }),
    errors: Type.Optional(
      Type.Array(ProblemItem, { description: 'With `partial`: what is wrong with the rows that are null' }),
    ),
  },
  { description: 'The probability of every task for every candidate' },
)
