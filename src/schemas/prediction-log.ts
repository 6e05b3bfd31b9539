import Type, { type Static } from 'typebox'

/** Raised when a property of a record gets another meaning; new ones may be added at any time. */
export const logSchema = 1

/** Folder of the records of requests that met no version: no model can have this name. */
export const noVersion = '.none'

const Values = Type.Record(Type.String(), Type.Unknown())
/** JSON has no infinite numbers: null stands for those that a request was refused for. */
const Finite = Type.Union([Type.Number(), Type.Null()])
const Probabilities = Type.Record(Type.String(), Finite)

const Fetched = Type.Record(Type.String(), Type.Unknown(), {
  description: 'Values that feature tables had for its keys, of fields that were not sent',
})
const UnknownKeys = Type.Array(Type.String(), { description: 'Entities whose key their table does not have' })
const Unknown = Type.Array(Type.String(), {
  description:
    'Fields with a value outside the vocabulary or range of the version; of a list with its place, as in tags[3]',
})
const Cut = Type.Array(Type.String(), { description: 'Lists with more values than the version takes' })

export type LoggedCandidate = Static<typeof LoggedCandidate>
export const LoggedCandidate = Type.Object({
  position: Type.Integer({ minimum: 0, description: 'Place in the request' }),
  id: Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Null()])),
  bid: Type.Optional(Finite),
  fields: Type.Optional(Values),
  fetched: Type.Optional(Fetched),
  unknown_keys: Type.Optional(UnknownKeys),
  unknown: Type.Optional(Unknown),
  cut: Type.Optional(Cut),
  raw: Type.Optional(Probabilities),
  served: Type.Optional(Probabilities),
  score: Type.Optional(Finite),
  rank: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Place in the ranking that was asked for; 0: the best' }),
  ),
})

export type LogRecord = Static<typeof LogRecord>
/** A line of a prediction log: a request, what it sent, and what it was answered. */
export const LogRecord = Type.Object({
  schema: Type.Literal(logSchema),
  request_id: Type.String(),
  trace_id: Type.Optional(Type.String()),
  time: Type.String({ description: 'When it arrived, ISO 8601' }),
  instance: Type.String({ description: 'The server that answered' }),
  key: Type.Optional(Type.String({ description: 'Name of the API key' })),
  protocol: Type.String(),
  model: Type.Optional(Type.String()),
  version: Type.Optional(Type.String()),
  manifest: Type.Optional(Type.String({ description: 'First digits of the SHA-256 of its manifest.json' })),
  chosen_by: Type.Optional(
    Type.Union([Type.Literal('default'), Type.Literal('pin'), Type.Literal('version'), Type.Literal('label')], {
      description: 'Why this version answered',
    }),
  ),
  label: Type.Optional(Type.String()),
  sampled_by: Type.Union([Type.Literal('rate'), Type.Literal('failed'), Type.Literal('slow'), Type.Literal('header')]),
  sample_rate: Type.Number({
    exclusiveMinimum: 0,
    maximum: 1,
    description: 'Share of the requests of this kind that are logged',
  }),
  outcome: Type.String({ description: '`ok`, or the code of the problem in lower case' }),
  problems: Type.Optional(Type.Array(Type.String(), { description: 'JSON pointers to what was wrong' })),
  deadline_ms: Type.Optional(Type.Number()),
  ms: Type.Object({
    total: Type.Number(),
    receive: Type.Optional(Type.Number()),
    encode: Type.Optional(Type.Number()),
    compute: Type.Optional(Type.Number({ description: 'With the wait for a worker' })),
    write: Type.Optional(Type.Number()),
  }),
  context: Type.Optional(Values),
  fetched: Type.Optional(Fetched),
  unknown_keys: Type.Optional(UnknownKeys),
  unknown: Type.Optional(Unknown),
  cut: Type.Optional(Cut),
  candidates: Type.Optional(Type.Array(LoggedCandidate)),
  unread: Type.Optional(Type.String({ description: 'Why context and candidates are missing' })),
})

/** The part that readers rely on: later releases may choose versions, and record requests, for further reasons. */
export const ReadableRecord = Type.Omit(LogRecord, ['chosen_by', 'sampled_by'])
